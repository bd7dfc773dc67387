//! Tests of `load`.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("byokd.toml");
    fs::write(
        &file,
        "[resolution]\nlease_seconds = 10\n[checks]\ncondemn_after = 4\n[log]\nformat = \"json\"",
    )
    .unwrap();
    let layers = Layers {
        file: Some(file),
        environment: environment(&[
            ("BYOKD__RESOLUTION__LEASE_SECONDS", "20"),
            ("BYOKD__CHECKS__CONDEMN_AFTER", "5"),
            ("BYOKD__EGRESS__PRIVATE_HOSTS", "[\"gateway.internal\"]"),
            ("BYOKD__KMS__PREVIOUS_KEYS", "[\"alias/old\", 'old.key']"),
            ("BYOKD__KMS__KEY", "alias/byokd"),
            ("BYOKD__AUDIT__KEY_FILE", "audit.key"),
            ("BYOKD_SERVER", "not a setting of ours"),
        ]),
        flags: vec![("--lease", "resolution.lease_seconds", "30".to_owned())],
    };
    let config = layers.load().unwrap();
    assert_eq!(config.resolution.lease_seconds, 30);
    assert_eq!(config.checks.condemn_after, 5);
    assert_eq!(config.egress.private_hosts, ["gateway.internal"]);
    assert_eq!(config.kms.previous_keys, ["alias/old", "old.key"]);
    assert_eq!(config.kms.key, "alias/byokd");
    assert_eq!(config.log.format, super::super::LogFormat::Json);
    assert_eq!(config.checks.per_provider_per_second, 20);
}

#[test]
fn all_faults_are_reported_at_once_with_their_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("byokd.toml");
    fs::write(
        &file,
        "colour = 1\n[server]\nlisten = \"0.0.0.0:50051\"\nport = 1\n[log]\nformat = \"xml\"",
    )
    .unwrap();
    let layers = Layers {
        file: Some(file),
        environment: environment(&[
            ("BYOKD__RESOLUTION__LEASE_SECONDS", "4"),
            ("BYOKD__CHECKS__CONDEMN_AFTER", "many"),
            ("BYOKD__NO__SUCH", "x"),
        ]),
        flags: vec![],
    };
    let faults = layers.load().unwrap_err().0;
    let has = |source: &str, text: &str| {
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains(source) && fault.contains(text)),
            "{source} {text}: {faults:#?}"
        );
    };
    has("byokd.toml: colour", "is not a setting");
    has("byokd.toml: server.port", "[server] has:");
    has("byokd.toml: server.listen", "mesh");
    has("auth.rules", "auth.embedded");
    has("byokd.toml: log.format", "xml");
    has(
        "BYOKD__RESOLUTION__LEASE_SECONDS: resolution.lease_seconds",
        "5 to 300",
    );
    has(
        "BYOKD__CHECKS__CONDEMN_AFTER: checks.condemn_after",
        "wrong",
    );
    has("BYOKD__NO__SUCH: no.such", "is not a setting");
    assert_eq!(faults.len(), 8, "{faults:#?}");
}

#[test]
fn a_database_url_may_stand_in_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "sqlite:/x/y.db\n").unwrap();
    let with = |pairs: &[(&str, &str)]| {
        Layers {
            environment: environment(pairs),
            ..Layers::default()
        }
        .load()
    };
    let path = file.display().to_string();
    assert_eq!(
        with(&[("BYOKD__DATABASE__URL_FILE", &path)])
            .unwrap()
            .database_url(),
        "sqlite:/x/y.db"
    );
    let both = with(&[
        ("BYOKD__DATABASE__URL_FILE", &path),
        ("BYOKD__DATABASE__URL", "sqlite:z"),
    ]);
    assert!(both.unwrap_err().to_string().contains("keep one"));
    let wrong = with(&[("BYOKD__DATABASE__URL", "mysql://byokd:hunter2@db/x")])
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("database.url") && !wrong.contains("hunter2"));
}
