//! From flags, environment and file to a checked configuration.
//!
//! The layers are merged here and not by a library, since each fault must be reported with its source, and all at once:
//! every setting is tried on its own against the typed defaults.
//!
//! Invariants: a value from the environment has the type of its default; an unknown key is a fault; a fault quotes a
//! setting's name, never the value of `database.url`.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::Config;

const PREFIX: &str = "BYOKD__";
const DEFAULT_FILE: &str = "byokd.toml";

/// What is wrong with a configuration, one line each.
#[derive(Debug)]
pub struct ConfigFaults(pub Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigFaults {}

/// Where settings may come from, the strongest last.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file that was named; `None`: `byokd.toml`, if it is there.
    pub file: Option<PathBuf>,
    /// The process's environment, or a test's.
    pub environment: Vec<(String, String)>,
    /// Flags: the flag's name, the setting, the value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

fn config_or(faults: Vec<String>, config: Config) -> Result<Config, ConfigFaults> {
    match faults.is_empty() {
        true => Ok(config),
        false => Err(ConfigFaults(faults)),
    }
}

/// One setting from one source.
struct Setting {
    path: String,
    value: Value,
    source: String,
}

impl Layers {
    /// Merges the layers over the defaults and checks the outcome.
    pub fn load(&self) -> Result<Config, ConfigFaults> {
        let (config, sources, mut faults) = self.merge();
        for (path, fault) in config.faults() {
            let source = sources.get(path).map_or("default", String::as_str);
            faults.push(format!("{source}: {path} {fault}"));
        }
        config_or(faults, config)
    }

    /// Merges the layers over the defaults; checks each setting, but not what they are together.
    pub fn unchecked(&self) -> Result<Config, ConfigFaults> {
        let (config, _, faults) = self.merge();
        config_or(faults, config)
    }

    fn merge(&self) -> (Config, BTreeMap<String, String>, Vec<String>) {
        let mut faults = Vec::new();
        let defaults = Table::try_from(Config::default()).unwrap_or_else(|error| {
            faults.push(format!("the defaults cannot be written: {error}"));
            Table::new()
        });
        let mut settings = self.file_settings(&mut faults);
        settings.extend(self.environment_settings(&defaults));
        settings.extend(self.flags.iter().map(|(flag, path, value)| Setting {
            path: (*path).to_owned(),
            value: typed(&defaults, path, value),
            source: (*flag).to_owned(),
        }));
        let mut merged = defaults.clone();
        let mut sources = BTreeMap::new();
        for setting in settings {
            match judge(&defaults, &setting) {
                Some(fault) => faults.push(format!("{}: {} {fault}", setting.source, setting.path)),
                None => {
                    put(&mut merged, &setting.path, setting.value);
                    sources.insert(setting.path, setting.source);
                }
            }
        }
        let config = merged.try_into::<Config>().unwrap_or_else(|error| {
            faults.push(error.message().to_owned());
            Config::default()
        });
        let config = with_secret_files(config, &mut faults);
        (config, sources, faults)
    }

    fn file_settings(&self, faults: &mut Vec<String>) -> Vec<Setting> {
        let path = match &self.file {
            Some(path) => path.clone(),
            None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
            None => return Vec::new(),
        };
        let source = path.display().to_string();
        let table = match fs::read_to_string(&path).map(|text| text.parse::<Table>()) {
            Ok(Ok(table)) => table,
            Ok(Err(error)) => {
                // The message alone: the rendered error would quote the line, which may hold a secret.
                faults.push(format!("{source}: {}", error.message()));
                return Vec::new();
            }
            Err(error) => {
                faults.push(format!("{source}: cannot be read: {error}"));
                return Vec::new();
            }
        };
        let mut settings = Vec::new();
        for (section, value) in table {
            match value {
                Value::Table(keys) => {
                    settings.extend(keys.into_iter().map(|(key, value)| Setting {
                        path: format!("{section}.{key}"),
                        value,
                        source: source.clone(),
                    }))
                }
                value => settings.push(Setting {
                    path: section,
                    value,
                    source: source.clone(),
                }),
            }
        }
        settings
    }

    fn environment_settings(&self, defaults: &Table) -> Vec<Setting> {
        let named = self
            .environment
            .iter()
            .filter_map(|(name, text)| Some((name, name.strip_prefix(PREFIX)?, text)));
        named
            .map(|(name, rest, text)| {
                let path = rest.to_ascii_lowercase().replacen("__", ".", 1);
                Setting {
                    value: typed(defaults, &path, text),
                    path,
                    source: name.clone(),
                }
            })
            .collect()
    }
}

fn default_of<'t>(defaults: &'t Table, path: &str) -> Option<&'t Value> {
    let (section, key) = path.split_once('.')?;
    defaults.get(section)?.as_table()?.get(key)
}

/// A text as a value of its default's type. What does not fit stays text, and is reported when it is judged.
fn typed(defaults: &Table, path: &str, text: &str) -> Value {
    match default_of(defaults, path) {
        Some(Value::String(_)) | None => Value::String(text.to_owned()),
        Some(_) => {
            let parsed = format!("value = {text}")
                .parse::<Table>()
                .ok()
                .and_then(|mut table| table.remove("value"));
            parsed.unwrap_or_else(|| Value::String(text.to_owned()))
        }
    }
}

/// What is wrong with one setting, tried alone on the defaults.
fn judge(defaults: &Table, setting: &Setting) -> Option<String> {
    if default_of(defaults, &setting.path).is_none() {
        let section = setting
            .path
            .split_once('.')
            .map_or(setting.path.as_str(), |(section, _)| section);
        let known = match defaults.get(section).and_then(Value::as_table) {
            Some(keys) => format!("[{section}] has: {}", list(keys)),
            None => format!("the sections are: {}", list(defaults)),
        };
        return Some(format!("is not a setting; {known}"));
    }
    let mut tried = defaults.clone();
    put(&mut tried, &setting.path, setting.value.clone());
    let error = tried.try_into::<Config>().err()?;
    let fault = error.message().trim().replace('\n', " ");
    Some(if setting.path == "database.url" {
        "has the wrong type".to_owned()
    } else {
        format!("is wrong: {fault}")
    })
}

fn list(keys: &Table) -> String {
    keys.keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn put(table: &mut Table, path: &str, value: Value) {
    let Some((section, key)) = path.split_once('.') else {
        return;
    };
    if let Some(Value::Table(keys)) = table.get_mut(section) {
        keys.insert(key.to_owned(), value);
    }
}

fn with_secret_files(mut config: Config, faults: &mut Vec<String>) -> Config {
    let database = &mut config.database;
    for (setting, url, file) in [
        ("database.url", &mut database.url, &database.url_file),
        (
            "database.listen_url",
            &mut database.listen_url,
            &database.listen_url_file,
        ),
    ] {
        if file.as_os_str().is_empty() {
            continue;
        }
        if !url.is_empty() {
            faults.push(format!(
                "{setting} and {setting}_file are both set; keep one"
            ));
            continue;
        }
        match fs::read_to_string(file) {
            Ok(read) => *url = read.trim().to_owned(),
            Err(error) => faults.push(format!(
                "{setting}_file {} cannot be read: {error}",
                file.display()
            )),
        }
    }
    config
}

#[cfg(test)]
mod tests;
