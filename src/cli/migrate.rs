//! `byokd migrate`: the database's schema, without serving.

use std::fmt;

use clap::Subcommand;
use serde::Serialize;

use super::{failure::Failure, global::GlobalArgs, settings::SettingsArgs};
use crate::{
    server::store_settings,
    store::{SchemaStatus, Store},
};

#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Bring the database to this version's schema
    Up(SettingsArgs),
    /// Show the schema level of the database
    Status(SettingsArgs),
}

impl MigrateCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let status = match self {
            Self::Up(settings) => Store::migrate(&store_settings(&settings.load(global)?)).await,
            Self::Status(settings) => {
                Store::schema_status(&store_settings(&settings.load(global)?)).await
            }
        };
        global.show(&SchemaReport::from(status?))
    }
}

#[derive(Serialize)]
struct SchemaReport {
    level: i32,
    oldest_binary_level: i32,
    known_level: i32,
}

impl From<SchemaStatus> for SchemaReport {
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

impl fmt::Display for SchemaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "schema level {}; binaries must know level {}; this one knows {}",
            self.level, self.oldest_binary_level, self.known_level
        )
    }
}
