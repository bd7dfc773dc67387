//! The schema level of a database, and its migration.
//!
//! Invariants:
//! - Of several processes that start on an empty database, one migrates and the others wait for it.
//! - A newer schema that still serves this binary stays as it is. The migrator is not asked, because it would reject
//!   migrations that it does not know.
//!
//! Not here: the migrations (`migrations`).

use sea_orm::{ConnectionTrait, DatabaseBackend, EntityTrait, IntoDatabaseExecutor, Statement};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use super::{
    db_error::open_failed,
    entities::deployment::{Entity, Model},
    migrations::{LEVEL, Migrator},
};
use crate::domain::error::{Error, Reason};

/// A process holds this advisory lock while it migrates. With the lock, it waits only briefly for tables, because reads
/// and changes would queue behind it.
const MIGRATION_LOCK: &str = "SET LOCAL lock_timeout = '60s'; \
    SELECT pg_advisory_xact_lock(7234017283807667314); SET LOCAL lock_timeout = '2s'";

/// The schema levels of a database and of this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SchemaStatus {
    /// The level of the newest migration; 0: an empty database.
    pub level: i32,
    /// The lowest level that a binary must know.
    pub oldest_binary_level: i32,
    /// The level that this binary knows.
    pub known_level: i32,
}

/// The levels of a database whose `deployment` row was read.
pub(super) fn status(row: Option<&Model>) -> SchemaStatus {
    SchemaStatus {
        level: row.map_or(0, |row| row.schema_level),
        oldest_binary_level: row.map_or(0, |row| row.oldest_binary_level),
        known_level: LEVEL,
    }
}

/// The deployment id of a database that this binary can serve.
pub(super) fn deployment_id(row: Option<Model>) -> Result<Uuid, Error> {
    check_binary(row.as_ref())?;
    let level = status(row.as_ref()).level;
    row.filter(|row| row.schema_level >= LEVEL)
        .map(|row| row.deployment_id)
        .ok_or_else(|| {
            open_failed(format!(
                "the database's schema is at level {level}, this byokd needs level {LEVEL}; run `byokd migrate up`, \
                 or set database.migrate = \"startup\""
            ))
        })
}

/// Fails if the schema needs a newer binary.
fn check_binary(row: Option<&Model>) -> Result<(), Error> {
    let oldest = status(row).oldest_binary_level;
    if oldest <= LEVEL {
        return Ok(());
    }
    Err(open_failed(format!(
        "the database needs a binary that knows schema level {oldest} or later; this one knows {LEVEL}: it is too \
         old, start a newer byokd"
    )))
}

/// Migrates an older schema to this binary's level; returns the `deployment` row. On PostgreSQL `connection` is a
/// transaction, because a pooler may end the session, and its locks, with the transaction.
pub(super) async fn migrate<'c, C>(connection: &'c C) -> Result<Option<Model>, Error>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    let before = read(connection).await?;
    check_binary(before.as_ref())?;
    if status(before.as_ref()).level >= LEVEL {
        return Ok(before);
    }
    if connection.get_database_backend() == DatabaseBackend::Postgres {
        let locked = connection.execute_unprepared(MIGRATION_LOCK).await;
        locked.map_err(|error| {
            open_failed(
                "another byokd has been migrating the database for a minute; check its log, then start this one again",
            )
            .caused_by(error)
        })?;
    }
    // The process that held the lock may have migrated.
    let locked = read(connection).await?;
    check_binary(locked.as_ref())?;
    if status(locked.as_ref()).level < LEVEL {
        Migrator::up(connection, None).await?;
    }
    read(connection).await
}

/// Reads the `deployment` row; `None`: the database is empty.
pub(super) async fn read(connection: &impl ConnectionTrait) -> Result<Option<Model>, Error> {
    let backend = connection.get_database_backend();
    let table = match backend {
        DatabaseBackend::Postgres => {
            "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'deployment'"
        }
        _ => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'deployment'",
    };
    let table = Statement::from_string(backend, table);
    if connection.query_one_raw(table).await?.is_none() {
        return Ok(None);
    }
    match Entity::find_by_id(1).one(connection).await? {
        Some(row) => Ok(Some(row)),
        None => Err(Error::new(
            Reason::RecordCorrupt,
            "the database is damaged: its table `deployment` is empty; restore it from a backup",
        )),
    }
}
