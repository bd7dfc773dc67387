//! A configuration as it is shown: every setting, what may hold a password left out.

use url::Url;

use super::Config;

impl Config {
    /// The configuration as it would be used, as TOML, redacted.
    pub fn redacted(&self) -> Result<toml::Table, toml::ser::Error> {
        let mut shown = self.clone();
        shown.database.url = self.database_url();
        shown.kms.key_file = self.kms_key_file();
        shown.audit.file = self.audit_file().unwrap_or_else(|| "-".into());
        shown.audit.key_file = self.audit_key_file();
        for shown in [&mut shown.database.url, &mut shown.database.listen_url] {
            if let Ok(mut url) = Url::parse(shown)
                && url.password().is_some()
                && url.set_password(Some("redacted")).is_ok()
            {
                *shown = url.to_string();
            }
        }
        toml::Table::try_from(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let mut config = Config::default();
        config.database.url = "postgres://byokd:hunter2@db/byokd".to_owned();
        config.database.listen_url = "postgres://byokd:hunter2@direct/byokd".to_owned();
        let shown = config.redacted().unwrap().to_string();
        assert!(shown.contains("byokd:redacted@db") && shown.contains("byokd:redacted@direct"));
        assert!(!shown.contains("hunter2"));
        assert!(shown.contains("lease_seconds = 60"));
    }
}
