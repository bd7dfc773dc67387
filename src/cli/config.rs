//! `byokd config`: what a server would be started with, whether it could be, and what it would let a caller do.

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    argument, failure::Failure, output, settings::Settings, target::Target, view::CallerView,
};
use crate::server;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Report everything that is wrong with the configuration, with its source; or say what a caller may do
    Check(Check),
    /// Show every setting as it would be used, passwords left out
    Show(Settings),
}

impl Config {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::Check(check) if !check.callers.is_empty() => {
                let config = check.settings.load(target)?;
                let granted = server::grants(&config, &check.callers)
                    .await
                    .map_err(|error| Failure::Local(error.to_string()))?;
                output::answer(target.output, &CallerView::of(&granted))?;
            }
            Self::Check(check) => {
                check.settings.load(target)?;
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

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
    /// A certificate in PEM or a token: say what its bearer may do, and by which rule. Given twice, what both may
    #[arg(long = "as", value_name = "FILE", value_parser = argument::path())]
    callers: Vec<PathBuf>,
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
