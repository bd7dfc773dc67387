//! `byokd config`: show the configuration, check it, or check what a caller may do under it.

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    argument, failure::Failure, global::GlobalArgs, rights::RightsReport, settings::SettingsArgs,
};
use crate::server;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Report every error of the configuration with its source, or show what a caller may do
    Check(CheckConfigArgs),
    /// Show every setting as byokd would use it, without passwords
    Show(SettingsArgs),
}

#[derive(Args, Debug)]
pub(super) struct CheckConfigArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A certificate in PEM or a token: show what its bearer may do, and by which rule. Given twice: what both may do
    #[arg(long = "as", value_name = "FILE", value_parser = argument::path())]
    callers: Vec<PathBuf>,
}

impl ConfigCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        match self {
            Self::Check(check) => {
                let config = check.settings.load(global)?;
                if check.callers.is_empty() {
                    return global.show(&GoodConfig { good: true });
                }
                let granted = server::grants(&config, &check.callers).await;
                global.show(&RightsReport::new(&granted.map_err(Failure::local)?))
            }
            Self::Show(settings) => {
                let shown = settings.load(global)?.redacted();
                global.show(&shown.map_err(Failure::local)?)
            }
        }
    }
}

#[derive(Serialize)]
struct GoodConfig {
    good: bool,
}

impl fmt::Display for GoodConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is good\n")
    }
}
