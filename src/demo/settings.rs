//! The configuration of a demo, made from the operator's.
//!
//! Invariants: a setting that is not named in [`KEPT`] keeps its default, so a demo never touches what an operator
//! configured for a real byokd; both listeners are on loopback.
//!
//! Not here: the data folder (`folder`) and the catalog's text (`catalog`).

use std::path::Path;

use toml::Table;

use super::error::DemoError;
use crate::config::Config;

/// The settings that an operator may choose for a demo.
const KEPT: [&str; 5] = [
    "server.listen",
    "server.admin_listen",
    "server.data_dir",
    "log.format",
    "log.filter",
];
/// Where a demo keeps its data if no folder is named.
const FOLDER: &str = "./byokd-demo";

/// Rejects a configuration that names something real.
pub(super) fn check(config: &Config) -> Result<(), DemoError> {
    for (setting, address) in [
        ("server.listen", config.server.listen),
        ("server.admin_listen", config.server.admin_listen),
    ] {
        if !address.ip().is_loopback() {
            return Err(DemoError(format!(
                "{setting} is {address}, but a demo listens on loopback only; listen on 127.0.0.1, or serve without --demo"
            )));
        }
    }
    let changed = changed(config).map_err(|cause| DemoError::new("read the settings", cause))?;
    if changed.is_empty() {
        return Ok(());
    }
    Err(DemoError(format!(
        "a demo has its own database, KMS key, catalog and limits, so it does not start with {}; remove the setting, or \
         serve without --demo",
        changed.join(", ")
    )))
}

/// The settings beside [`KEPT`] that differ from their defaults.
fn changed(config: &Config) -> Result<Vec<String>, toml::ser::Error> {
    let (own, defaults) = (
        Table::try_from(config)?,
        Table::try_from(Config::default())?,
    );
    let settings = own.iter().flat_map(|(section, keys)| {
        let keys = keys.as_table().into_iter().flatten();
        keys.map(move |(key, value)| (section, key, value))
    });
    let differs = settings.filter(|(section, key, value)| {
        let default = defaults.get(*section).and_then(|keys| keys.get(*key));
        default != Some(*value)
    });
    Ok(differs
        .map(|(section, key, _)| format!("{section}.{key}"))
        .filter(|setting| !KEPT.contains(&setting.as_str()))
        .collect())
}

/// Replaces the default data folder by the demo's.
pub(super) fn choose_folder(config: &mut Config) {
    if config.server.data_dir == Config::default().server.data_dir {
        config.server.data_dir = FOLDER.into();
    }
}

/// Points byokd at the demo provider, and shortens what takes minutes in production.
pub(super) fn apply(config: &mut Config, catalog: &Path) {
    config.catalog.file = catalog.to_owned();
    config.egress.loopback_http = true;
    config.server.shutdown_delay_ms = 0;
    config.checks.condemn_over_minutes = 0;
    config.checks.deadline_ms = 2_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    type Edit = fn(&mut Config);

    #[test]
    fn every_setting_of_a_real_byokd_is_rejected_by_name() {
        let rows: [(Edit, &str); 8] = [
            (
                |c| c.database.url = "postgres://db/byokd".to_owned(),
                "database.url",
            ),
            (
                |c| c.database.url = "sqlite:/srv/byokd.db".to_owned(),
                "database.url",
            ),
            (|c| c.kms.key = "alias/byokd".to_owned(), "kms.key"),
            (|c| c.kms.key_file = "/srv/kms.key".into(), "kms.key_file"),
            (|c| c.audit.file = "-".into(), "audit.file"),
            (|c| c.catalog.file = "catalog.toml".into(), "catalog.file"),
            (
                |c| c.server.listen = "0.0.0.0:50051".parse().unwrap(),
                "server.listen",
            ),
            (
                |c| c.server.admin_listen = "[::]:9464".parse().unwrap(),
                "server.admin_listen",
            ),
        ];
        for (edit, setting) in rows {
            let mut config = Config::default();
            edit(&mut config);
            let error = check(&config).unwrap_err().to_string();
            assert!(error.contains(setting), "{setting}: {error}");
            assert!(!error.contains("db/byokd"), "{error}");
        }
    }

    #[test]
    fn the_listeners_the_folder_and_the_log_are_the_operators() {
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.admin_listen = "[::1]:0".parse().unwrap();
        config.server.data_dir = "/tmp/demo".into();
        config.log.filter = "debug".to_owned();
        assert!(check(&config).is_ok());
        choose_folder(&mut config);
        assert_eq!(config.server.data_dir, Path::new("/tmp/demo"));
        let mut config = Config::default();
        choose_folder(&mut config);
        assert_eq!(config.server.data_dir, Path::new(FOLDER));
    }
}
