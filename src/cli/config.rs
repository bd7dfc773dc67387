//! `byokd config`: what a server would be started with, and whether it could be.

use clap::Subcommand;

use super::{failure::Failure, output, settings::Settings, target::Target};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Report everything that is wrong with the configuration, with its source
    Check(Settings),
    /// Show every setting as it would be used, passwords left out
    Show(Settings),
}

impl Config {
    pub(super) fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::Check(settings) => {
                settings.load(target)?;
                output::print("the configuration is good\n")?;
            }
            Self::Show(settings) => {
                let shown = settings.load(target)?.redacted();
                output::print(&shown.map_err(|error| Failure::Local(error.to_string()))?)?;
            }
        }
        Ok(())
    }
}
