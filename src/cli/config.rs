//! `byokd config`: what a server would be started with, and whether it could be.

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

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
                output::answer(target.output, &Good { good: true })?;
            }
            Self::Show(settings) => {
                let shown = settings.load(target)?.redacted();
                output::answer(
                    target.output,
                    &Shown(shown.map_err(|error| Failure::Local(error.to_string()))?),
                )?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Good {
    good: bool,
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is good\n")
    }
}

/// Every setting; TOML for people, the same tables for programs.
#[derive(Serialize)]
struct Shown(toml::Table);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
