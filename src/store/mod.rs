//! Everything that byokd keeps, and every query that reaches it.
//!
//! Invariants: sea-orm is named in this folder only. A read of a workspace is one statement. A change is one
//! transaction that locks its workspace first, writes audit row and change-log row with it, and is whole or absent.
//! A workspace's id is the first argument of every query that touches its rows. What lies here is sealed: nothing in
//! this folder sees a provider key or a data key in the clear.
//!
//! Absent: caches (`directory`, `keyring`), decisions, and any call to a KMS or provider.

mod change;
mod data_keys;
mod entities;
mod fault;
mod lists;
mod load;
mod migrations;
mod requests;
mod sqlite;

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, EntityTrait};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

pub use change::Change;
pub use data_keys::DataKeyRow;
use fault::unavailable;
use lists::SharedLists;
pub use requests::Remembered;

use crate::domain::{
    error::{Error, Reason},
    names::{Scope, WorkspaceId},
    workspace::{Holder, Platform, Workspace},
};

/// How long a connection may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// The database.
#[derive(Debug)]
pub struct Store {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    deployment: Uuid,
    lists: Arc<SharedLists>,
    /// Held while this process serves, so that a second one refuses to.
    _claim: std::fs::File,
}

/// What a database says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The newest migration's level; 0: an empty database.
    pub level: i32,
    /// The level that a binary must know at least.
    pub oldest_binary_level: i32,
    /// The level that this binary knows.
    pub known_level: i32,
}

impl Store {
    /// Opens the database, migrates it if it is older than this binary, and claims it for serving.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let path = sqlite::path(url)?;
        let claim = sqlite::claim(&path)?;
        let writer = sqlite::writer(&path).await?;
        migrate(&writer).await?;
        let deployment = entities::deployment::Entity::find_by_id(1)
            .one(&writer)
            .await
            .map_err(unavailable)?
            .ok_or_else(|| damaged("its table `deployment` is empty"))?
            .deployment_id;
        let readers = sqlite::readers(&path).await?;
        Ok(Self { writer, readers, deployment, lists: Arc::default(), _claim: claim })
    }

    /// Brings a database to this binary's level, without serving it.
    pub async fn migrate(url: &str) -> Result<SchemaStatus, Error> {
        let writer = sqlite::writer(&sqlite::path(url)?).await?;
        migrate(&writer).await
    }

    /// Reads what a database says of itself.
    pub async fn schema_status(url: &str) -> Result<SchemaStatus, Error> {
        let path = sqlite::path(url)?;
        if !path.exists() {
            return Err(Error::new(
                Reason::StoreUnavailable,
                format!("there is no database at {}", path.display()),
            ));
        }
        status(&sqlite::writer(&path).await?).await
    }

    /// The deployment that this database is: bound into everything sealed.
    pub fn deployment(&self) -> Uuid {
        self.deployment
    }

    /// A workspace; one that was never seen has revision 0.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<Workspace, Error> {
        match self.holder(&Scope::Workspace(id.clone())).await? {
            Holder::Workspace(workspace) => Ok(workspace),
            Holder::Platform(_) => Err(Error::internal("a workspace was loaded as the platform")),
        }
    }

    /// The platform.
    pub async fn platform(&self) -> Result<Platform, Error> {
        match self.holder(&Scope::Platform).await? {
            Holder::Platform(platform) => Ok(platform),
            Holder::Workspace(_) => Err(Error::internal("the platform was loaded as a workspace")),
        }
    }

    /// Whose keys these are.
    pub async fn holder(&self, scope: &Scope) -> Result<Holder, Error> {
        load::holder(&self.readers, &self.lists, scope).await
    }

    /// Closes the connections; what is still open is rolled back.
    pub async fn close(&self) {
        for connection in [&self.readers, &self.writer] {
            match tokio::time::timeout(CLOSE, connection.close_by_ref()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a database connection did not close"),
                Err(_) => tracing::warn!("a database connection did not close within {CLOSE:?}"),
            }
        }
    }

    /// Begins a change: from here on nobody else changes this workspace, or the platform.
    pub async fn begin(&self, scope: &Scope) -> Result<Change, Error> {
        Change::begin(&self.writer, &self.lists, scope).await
    }
}

async fn migrate(connection: &DatabaseConnection) -> Result<SchemaStatus, Error> {
    let before = status(connection).await?;
    if before.oldest_binary_level > migrations::LEVEL {
        return Err(Error::new(
            Reason::StoreUnavailable,
            format!(
                "the database needs a binary that knows schema level {} or later; this one knows {}: it is too old, \
                 start a newer byokd",
                before.oldest_binary_level,
                migrations::LEVEL
            ),
        ));
    }
    if before.level >= migrations::LEVEL {
        // A newer schema that still serves this binary is left alone; the migrator would reject what it does not know.
        return Ok(before);
    }
    migrations::Migrator::up(connection, None).await.map_err(unavailable)?;
    status(connection).await
}

async fn status(connection: &DatabaseConnection) -> Result<SchemaStatus, Error> {
    let known_level = migrations::LEVEL;
    let schema = sea_orm_migration::SchemaManager::new(connection);
    if !schema.has_table("deployment").await.map_err(unavailable)? {
        return Ok(SchemaStatus { level: 0, oldest_binary_level: 0, known_level });
    }
    let row = entities::deployment::Entity::find_by_id(1)
        .one(connection)
        .await
        .map_err(unavailable)?
        .ok_or_else(|| damaged("its table `deployment` is empty"))?;
    Ok(SchemaStatus { level: row.schema_level, oldest_binary_level: row.oldest_binary_level, known_level })
}

fn damaged(what: &str) -> Error {
    Error::new(Reason::RecordCorrupt, format!("the database is damaged: {what}; restore it from a backup"))
}
