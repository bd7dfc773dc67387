//! The options of a server's configuration, for the commands that run on the server's machine.
//!
//! Invariant: a flag overrides the environment, the environment overrides the file; `config` merges them.
//!
//! Not here: most settings. Each has a variable and a place in the file.

use std::path::PathBuf;

use clap::Args;

use super::{argument, failure::Failure, global::GlobalArgs};
use crate::config::{Config, ConfigFaults, Layers};

#[derive(Args, Debug, Default)]
pub(super) struct SettingsArgs {
    /// The configuration [default: ./byokd.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "BYOKD_CONFIG", hide_env_values = true, value_parser = argument::path())]
    config: Option<PathBuf>,
    /// Where to serve the contract [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS", value_parser = argument::word)]
    listen: Option<String>,
    /// Where to serve probes and metrics [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS", value_parser = argument::word)]
    admin_listen: Option<String>,
}

impl SettingsArgs {
    /// The settings of this file, or of the default one, and of the environment.
    pub(super) fn in_file(config: Option<PathBuf>) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// The merged and checked configuration.
    pub(super) fn load(&self, global: &GlobalArgs) -> Result<Config, Failure> {
        self.layers(global).load().map_err(wrong)
    }

    /// The merged configuration, before the settings are checked together.
    pub(super) fn unchecked(&self, global: &GlobalArgs) -> Result<Config, Failure> {
        self.layers(global).unchecked().map_err(wrong)
    }

    fn layers(&self, global: &GlobalArgs) -> Layers {
        let data_dir = global
            .data_dir
            .as_ref()
            .map(|folder| folder.display().to_string());
        let flags = [
            ("--data-dir", "server.data_dir", data_dir),
            ("--listen", "server.listen", self.listen.clone()),
            (
                "--admin-listen",
                "server.admin_listen",
                self.admin_listen.clone(),
            ),
        ];
        Layers {
            file: self.config.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags: flags
                .into_iter()
                .filter_map(|(flag, setting, value)| Some((flag, setting, value?)))
                .collect(),
        }
    }
}

fn wrong(faults: ConfigFaults) -> Failure {
    Failure::local(format_args!("the configuration is wrong:\n{faults}"))
}
