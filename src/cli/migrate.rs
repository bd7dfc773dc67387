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
        global.show(&SchemaReport(status?))
    }
}

#[derive(Serialize)]
struct SchemaReport(SchemaStatus);

impl fmt::Display for SchemaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SchemaStatus {
            level,
            oldest_binary_level,
            known_level,
        } = self.0;
        writeln!(
            f,
            "schema level {level}; binaries must know level {oldest_binary_level}; this one knows {known_level}"
        )
    }
}
