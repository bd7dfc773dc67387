//! Checks of values that no setting may have, alone or together with another.
//!
//! Invariant: every fault names the setting to change and what to set it to.

use url::Url;

use super::{Config, KmsConfig, Plaintext};
use crate::domain::kms_key::KmsKeyName;

impl Config {
    /// The faults, each with the setting that is to blame.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut unless = |holds: bool, setting: &'static str, fault: &str| {
            if !holds {
                faults.push((setting, fault.to_owned()));
            }
        };
        let loopback = self.server.listen.ip().is_loopback();
        unless(
            loopback || self.tls.is_on() || self.server.plaintext == Plaintext::Mesh,
            "server.listen",
            "is not a loopback address, and there is no TLS: keys would travel in clear text. Set tls.cert_file and \
             tls.key_file, listen on 127.0.0.1, or set server.plaintext = \"mesh\" if a service mesh encrypts",
        );
        unless(
            self.server.listen.port() == 0 || self.server.listen != self.server.admin_listen,
            "server.admin_listen",
            "is the same as server.listen",
        );
        unless(
            self.server.shutdown_delay_ms <= 60_000,
            "server.shutdown_delay_ms",
            "must be 0 to 60000: process managers kill a process that stops too slowly",
        );
        let url = &self.database.url;
        let postgres =
            |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        unless(
            url.is_empty() || url.starts_with("sqlite:") || postgres(url),
            "database.url",
            "must be sqlite: and the path of a file, or postgres://user:password@host:5432/database",
        );
        let listen_url = &self.database.listen_url;
        unless(
            listen_url.is_empty() || (postgres(listen_url) && postgres(url)),
            "database.listen_url",
            "must be a postgres:// URL beside one in database.url",
        );
        for (setting, connections) in [
            ("database.read_connections", self.database.read_connections),
            (
                "database.write_connections",
                self.database.write_connections,
            ),
        ] {
            unless(
                (1..=1000).contains(&connections),
                setting,
                "must be 1 to 1000",
            );
        }
        unless(
            (5..=300).contains(&self.resolution.lease_seconds),
            "resolution.lease_seconds",
            "must be 5 to 300",
        );
        unless(
            self.checks.condemn_after >= 2,
            "checks.condemn_after",
            "must be at least 2: one verdict never condemns",
        );
        unless(
            (100..=12_000).contains(&self.checks.deadline_ms),
            "checks.deadline_ms",
            "must be 100 to 12000: two tests fit into limits.default_deadline_ms, as it comes",
        );
        for (setting, limit) in [
            (
                "checks.per_workspace_per_minute",
                self.checks.per_workspace_per_minute,
            ),
            (
                "checks.per_principal_per_minute",
                self.checks.per_principal_per_minute,
            ),
            (
                "checks.per_provider_per_second",
                self.checks.per_provider_per_second,
            ),
        ] {
            unless(limit > 0, setting, "must be at least 1");
        }
        let filter = tracing_subscriber::EnvFilter::try_new(&self.log.filter);
        unless(
            filter.is_ok(),
            "log.filter",
            "is not a filter; write e.g. info,byokd=debug",
        );
        faults.extend(self.tls.faults());
        faults.extend(self.auth_faults());
        faults.extend(self.limits.faults());
        faults.extend(self.kms.faults());
        faults.extend(self.audit_faults());
        faults
    }
}

impl KmsConfig {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let key = KmsKeyName::parse(&self.key);
        if key.is_none() && !self.key.is_empty() {
            let fault = "names no key of AWS KMS; write its ARN, its id, or alias/ and its alias. A local key file is \
                         named by kms.key_file";
            faults.push(("kms.key", fault.to_owned()));
        }
        if let Some(region) = key.as_ref().and_then(KmsKeyName::region)
            && !self.region.is_empty()
            && self.region != region
        {
            let fault = format!(
                "is {}, but kms.key is in {region}; leave kms.region out",
                self.region
            );
            faults.push(("kms.region", fault));
        }
        if self.key.is_empty()
            && let Some(cloud) = self
                .previous_keys
                .iter()
                .find(|name| KmsKeyName::parse(name).is_some())
        {
            let fault = format!(
                "names {cloud}, a key of AWS KMS, but kms.key names none; from AWS KMS there is no road back to a \
                 local key file"
            );
            faults.push(("kms.previous_keys", fault));
        }
        if self.previous_keys.iter().any(String::is_empty) {
            faults.push((
                "kms.previous_keys",
                "has an empty name; take it out".to_owned(),
            ));
        }
        let endpoint = Url::parse(&self.endpoint_url);
        let reachable = endpoint
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty());
        if !self.endpoint_url.is_empty() && !reachable {
            let fault = "must be an http:// or https:// address, without a user; leave it out for AWS itself";
            faults.push(("kms.endpoint_url", fault.to_owned()));
        }
        if self.calls_per_second == 0 {
            faults.push(("kms.calls_per_second", "must be at least 1".to_owned()));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EmbeddedSigner;

    type Edit = fn(&mut Config);

    const KEY_ARN: &str =
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// The settings that are to blame.
    fn blamed(edit: Edit) -> Vec<&'static str> {
        let mut config = Config::default();
        // Required beside some of what is set here.
        config.audit.key_file = "audit.key".into();
        edit(&mut config);
        config
            .faults()
            .into_iter()
            .map(|(setting, _)| setting)
            .collect()
    }

    #[test]
    fn just_beyond_each_bound_is_refused_by_name() {
        let rows: [(Edit, &str); 26] = [
            (
                |c| c.resolution.lease_seconds = 4,
                "resolution.lease_seconds",
            ),
            (
                |c| c.resolution.lease_seconds = 301,
                "resolution.lease_seconds",
            ),
            (|c| c.checks.condemn_after = 1, "checks.condemn_after"),
            (|c| c.checks.deadline_ms = 99, "checks.deadline_ms"),
            (|c| c.checks.deadline_ms = 12_001, "checks.deadline_ms"),
            (
                |c| c.checks.per_workspace_per_minute = 0,
                "checks.per_workspace_per_minute",
            ),
            (
                |c| c.checks.per_principal_per_minute = 0,
                "checks.per_principal_per_minute",
            ),
            (
                |c| c.checks.per_provider_per_second = 0,
                "checks.per_provider_per_second",
            ),
            (
                |c| c.server.admin_listen = c.server.listen,
                "server.admin_listen",
            ),
            (
                |c| c.server.shutdown_delay_ms = 60_001,
                "server.shutdown_delay_ms",
            ),
            (
                |c| c.database.url = "mysql://db/byokd".to_owned(),
                "database.url",
            ),
            (
                |c| c.database.listen_url = "postgres://db/byokd".to_owned(),
                "database.listen_url",
            ),
            (
                |c| c.database.read_connections = 0,
                "database.read_connections",
            ),
            (
                |c| c.database.write_connections = 1001,
                "database.write_connections",
            ),
            (|c| c.log.filter = "=".to_owned(), "log.filter"),
            (|c| c.kms.key = "byokd".to_owned(), "kms.key"),
            (|c| c.kms.key = "/etc/byokd/kms.key".to_owned(), "kms.key"),
            (
                |c| {
                    c.kms.key = KEY_ARN.to_owned();
                    c.kms.region = "eu-west-1".to_owned();
                },
                "kms.region",
            ),
            (
                |c| c.kms.previous_keys = vec!["old.key".to_owned(), KEY_ARN.to_owned()],
                "kms.previous_keys",
            ),
            (
                |c| c.kms.previous_keys = vec![String::new()],
                "kms.previous_keys",
            ),
            (
                |c| c.kms.endpoint_url = "localhost:4566".to_owned(),
                "kms.endpoint_url",
            ),
            (
                |c| c.kms.endpoint_url = "ftp://kms".to_owned(),
                "kms.endpoint_url",
            ),
            (
                |c| c.kms.endpoint_url = "http://user:pass@kms".to_owned(),
                "kms.endpoint_url",
            ),
            (|c| c.kms.calls_per_second = 0, "kms.calls_per_second"),
            // Off loopback, each of the two words lets one thing through and not the other.
            (
                |c| {
                    c.server.listen = "0.0.0.0:50051".parse().unwrap();
                    c.auth.embedded = EmbeddedSigner::Allow;
                },
                "server.listen",
            ),
            (
                |c| {
                    c.server.listen = "[::]:50051".parse().unwrap();
                    c.server.plaintext = Plaintext::Mesh;
                },
                "auth.rules",
            ),
        ];
        for (at, (edit, setting)) in rows.into_iter().enumerate() {
            assert_eq!(blamed(edit), [setting], "row {at}");
        }
    }

    #[test]
    fn each_bound_itself_is_good() {
        let rows: [Edit; 15] = [
            |_| {},
            |c| c.kms.key = "alias/byokd".to_owned(),
            |c| {
                c.kms.key = KEY_ARN.to_owned();
                c.kms.region = "eu-central-1".to_owned();
                c.kms.previous_keys = vec!["old.key".to_owned(), "alias/old".to_owned()];
            },
            |c| c.kms.previous_keys = vec!["old.key".to_owned()],
            |c| c.kms.endpoint_url = "http://127.0.0.1:4566".to_owned(),
            |c| c.kms.calls_per_second = 1,
            |c| c.resolution.lease_seconds = 5,
            |c| c.resolution.lease_seconds = 300,
            |c| c.server.shutdown_delay_ms = 60_000,
            |c| c.checks.condemn_after = 2,
            |c| c.checks.deadline_ms = 100,
            |c| c.checks.deadline_ms = 12_000,
            |c| c.server.listen = "[::1]:50051".parse().unwrap(),
            |c| c.database.url = "postgres://db/byokd".to_owned(),
            |c| {
                c.database.url = "postgresql://pooler/byokd".to_owned();
                c.database.listen_url = "postgres://db/byokd".to_owned();
            },
        ];
        for (at, edit) in rows.into_iter().enumerate() {
            assert!(blamed(edit).is_empty(), "row {at}");
        }
    }
}
