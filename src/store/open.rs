//! `Store`: opening and closing the database, and its schema.
//!
//! Invariants: `OpenMode::Serve` migrates the schema, unless the settings forbid it.
//!
//! Not here: `Store`'s queries (`serving`, `rotation`, `purges`).

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseTransaction;
use uuid::Uuid;

use super::{
    database::Database,
    db_error::open_failed,
    limits::limited,
    postgres::Postgres,
    schema::{self, SchemaStatus},
    settings::{OpenMode, StoreSettings},
    sqlite,
    statements::model_lists::SharedLists,
    writer::Writer,
};
use crate::domain::error::Error;

/// How long opening may take, with a migration or the wait for another process's migration.
const OPEN: Duration = Duration::from_secs(300);

/// The database.
#[derive(Debug)]
pub struct Store {
    pub(super) database: Database,
    pub(super) lists: Arc<SharedLists>,
    deployment: Uuid,
}

impl Store {
    /// Opens the database; `OpenMode::Serve` also migrates its schema unless `StoreSettings::migrate` is false.
    pub async fn open(settings: &StoreSettings, mode: OpenMode) -> Result<Self, Error> {
        limited("opening the database", OPEN, async {
            let writer = Writer::connect(settings, mode).await?;
            let migrate = mode == OpenMode::Serve && settings.migrate;
            let deployment = schema::deployment_id(writer.deployment(migrate).await?)?;
            Ok(Self {
                database: Database::open(writer, settings, mode).await?,
                lists: Arc::default(),
                deployment,
            })
        })
        .await
    }

    /// Whether the database is a file of this process's machine, which no start has to wait for.
    pub fn is_embedded(settings: &StoreSettings) -> bool {
        !settings.is_postgres()
    }

    /// Whether the database answers, even by refusing the connection.
    pub async fn is_up(settings: &StoreSettings) -> bool {
        Self::is_embedded(settings) || Postgres::is_up(settings).await
    }

    /// Migrates a database to this binary's schema level.
    pub async fn migrate(settings: &StoreSettings) -> Result<SchemaStatus, Error> {
        let writer = Writer::connect(settings, OpenMode::Maintain).await?;
        Ok(schema::status(writer.deployment(true).await?.as_ref()))
    }

    /// Reads the schema level of a database.
    pub async fn schema_status(settings: &StoreSettings) -> Result<SchemaStatus, Error> {
        if Self::is_embedded(settings) {
            let path = sqlite::path(&settings.url)?;
            if !path.exists() {
                return Err(open_failed(format!(
                    "there is no database at {}",
                    path.display()
                )));
            }
        }
        let writer = Writer::connect(settings, OpenMode::Maintain).await?;
        Ok(schema::status(writer.deployment(false).await?.as_ref()))
    }

    /// Runs `work` in a transaction and commits it.
    pub(super) async fn write<T>(
        &self,
        step: &str,
        work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.database.writer.write(step, work).await
    }

    /// The deployment id of this database, which is bound into every sealed record.
    pub fn deployment(&self) -> Uuid {
        self.deployment
    }

    /// Closes the connections, so that another process can serve. Open transactions are rolled back.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
