//! The `[audit]` section: mode, file, key and retention.
//!
//! Invariant: the key that chains the record is made by byokd only where everything is embedded; elsewhere its loss would
//! stay unnoticed until an audit.
//!
//! Not here: the record (`audit`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Config;

/// A hundred years; beyond it no calendar helps.
const LONGEST_RETENTION: u32 = 36_500;

/// What is put on record, where, and for how long.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// What is promised of the stream.
    pub mode: AuditMode,
    /// The stream's file; `-`: standard output; empty: `audit.jsonl` in the data folder.
    pub file: PathBuf,
    /// The key of the stream's chains; empty: `audit.key` in the data folder.
    pub key_file: PathBuf,
    /// For how many days the database remembers changes, counts and checkpoints.
    pub retention_days: u32,
}

/// What is promised of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditMode {
    /// Written within 100 ms; no call waits for it or fails with it.
    Buffered,
    /// Nothing is answered before its line is on disk.
    Durable,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            mode: AuditMode::Buffered,
            file: PathBuf::new(),
            key_file: PathBuf::new(),
            retention_days: 400,
        }
    }
}

impl AuditConfig {
    /// Whether the stream goes to standard output.
    pub fn to_standard_output(&self) -> bool {
        self.file == Path::new("-")
    }
}

impl Config {
    /// The audit stream's file; `None`: standard output.
    pub fn audit_file(&self) -> Option<PathBuf> {
        if self.audit.to_standard_output() {
            return None;
        }
        Some(match self.audit.file.as_os_str().is_empty() {
            true => self.server.data_dir.join("audit.jsonl"),
            false => self.audit.file.clone(),
        })
    }

    /// The key of the audit stream's chains.
    pub fn audit_key_file(&self) -> PathBuf {
        match self.audit.key_file.as_os_str().is_empty() {
            true => self.server.data_dir.join("audit.key"),
            false => self.audit.key_file.clone(),
        }
    }

    /// The faults of this section, each with the setting that is to blame.
    pub(super) fn audit_faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.audit.mode == AuditMode::Durable && self.audit.to_standard_output() {
            let fault = "is standard output, which byokd cannot sync to disk; name a file, or set audit.mode = \
                         \"buffered\"";
            faults.push(("audit.file", fault.to_owned()));
        }
        let embedded = self.kms.key.is_empty() && self.database_url().starts_with("sqlite:");
        if !embedded && self.audit.key_file.as_os_str().is_empty() {
            let fault = "is required beside PostgreSQL or AWS KMS: name a file that all replicas have and that outlives \
                         them; `openssl rand -hex 32` makes its content";
            faults.push(("audit.key_file", fault.to_owned()));
        }
        if !(1..=LONGEST_RETENTION).contains(&self.audit.retention_days) {
            faults.push((
                "audit.retention_days",
                format!("must be 1 to {LONGEST_RETENTION}"),
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Edit = fn(&mut Config);

    #[test]
    fn what_cannot_be_promised_is_refused_by_name() {
        let rows: [(Edit, &[&str]); 9] = [
            (|_| {}, &[]),
            (|c| c.audit.file = "-".into(), &[]),
            (|c| c.audit.mode = AuditMode::Durable, &[]),
            (
                |c| {
                    c.audit.mode = AuditMode::Durable;
                    c.audit.file = "-".into();
                },
                &["audit.file"],
            ),
            (|c| c.database.url = "sqlite:/var/byokd.db".to_owned(), &[]),
            (
                |c| c.database.url = "postgres://db/byokd".to_owned(),
                &["audit.key_file"],
            ),
            (
                |c| c.kms.key = "alias/byokd".to_owned(),
                &["audit.key_file"],
            ),
            (|c| c.audit.retention_days = 0, &["audit.retention_days"]),
            (
                |c| c.audit.retention_days = LONGEST_RETENTION + 1,
                &["audit.retention_days"],
            ),
        ];
        for (at, (edit, blamed)) in rows.into_iter().enumerate() {
            let mut config = Config::default();
            edit(&mut config);
            let faults: Vec<_> = config
                .audit_faults()
                .into_iter()
                .map(|(setting, _)| setting)
                .collect();
            assert_eq!(faults, blamed, "row {at}");
        }
    }
}
