//! `byokd migrate`: the database's schema, without serving.

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

use super::{
    failure::Failure,
    output,
    settings::{Settings, local},
    target::Target,
};
use crate::{
    server::store_settings,
    store::{SchemaStatus, Store},
};

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Bring the database to this version's schema
    Up(Settings),
    /// Say where the database's schema stands
    Status(Settings),
}

impl Migrate {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let status = match self {
            Self::Up(settings) => Store::migrate(&store_settings(&settings.load(target)?)).await,
            Self::Status(settings) => {
                Store::schema_status(&store_settings(&settings.load(target)?)).await
            }
        };
        output::answer(target.output, &Shown::from(status.map_err(local)?))?;
        Ok(())
    }
}

#[derive(Serialize)]
struct Shown {
    level: i32,
    oldest_binary_level: i32,
    known_level: i32,
}

impl From<SchemaStatus> for Shown {
    fn from(status: SchemaStatus) -> Self {
        let SchemaStatus {
            level,
            oldest_binary_level,
            known_level,
        } = status;
        Self {
            level,
            oldest_binary_level,
            known_level,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "schema level {}; binaries must know level {}; this one knows {}",
            self.level, self.oldest_binary_level, self.known_level
        )
    }
}
