//! Where the schema stands, and bringing it to where it should.
//!
//! Invariants: of many processes that start on an empty database one migrates and the others wait for it. A newer
//! schema is left alone as long as it still serves this binary: the migrator would reject what it does not know.
//!
//! Absent: the steps themselves (`migrations`).

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, EntityTrait, IntoDatabaseExecutor};
use sea_orm_migration::MigratorTrait;

use super::{
    Engine, OpenMode, Settings, Store,
    entities::deployment,
    fault::unavailable,
    migrations::{LEVEL, Migrator},
    sqlite,
};
use crate::domain::error::{Error, Reason};

/// Held while a process migrates; any number that nobody else of this database uses.
/// After it nothing is waited for long: who reads and writes would queue behind us.
const MIGRATION_LOCK: &str = "SET LOCAL lock_timeout = '60s'; \
    SELECT pg_advisory_xact_lock(7234017283807667314); SET LOCAL lock_timeout = '2s'";

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

impl SchemaStatus {
    /// Refuses a schema that no longer serves this binary, or lacks what it needs.
    pub(super) fn serves(self) -> Result<(), Error> {
        self.admits()?;
        if self.level < LEVEL {
            return Err(Error::new(
                Reason::StoreUnavailable,
                format!(
                    "the database's schema is at level {}, this byokd needs level {LEVEL}; run `byokd migrate up`, or \
                     set database.migrate = \"startup\"",
                    self.level
                ),
            ));
        }
        Ok(())
    }

    fn admits(self) -> Result<(), Error> {
        if self.oldest_binary_level <= LEVEL {
            return Ok(());
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            format!(
                "the database needs a binary that knows schema level {} or later; this one knows {LEVEL}: it is too \
                 old, start a newer byokd",
                self.oldest_binary_level
            ),
        ))
    }
}

/// Brings the schema to this binary's level, if it is older. On PostgreSQL `connection` is a transaction, since behind a
/// pooler a lock lasts no longer; who waited for the lock finds nothing left to do.
pub(super) async fn migrate<'c, C>(connection: &'c C) -> Result<SchemaStatus, Error>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    let before = status(connection).await?;
    before.admits()?;
    if before.level >= LEVEL {
        return Ok(before);
    }
    if connection.get_database_backend() == DatabaseBackend::Postgres {
        connection
            .execute_unprepared(MIGRATION_LOCK)
            .await
            .map_err(locked)?;
    }
    let now = status(connection).await?;
    now.admits()?;
    if now.level < LEVEL {
        Migrator::up(connection, None).await.map_err(unavailable)?;
    }
    status(connection).await
}

/// Reads where the schema stands.
pub(super) async fn status(connection: &impl ConnectionTrait) -> Result<SchemaStatus, Error> {
    let there = match connection.get_database_backend() {
        DatabaseBackend::Postgres => {
            "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
        _ => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
    };
    let statement = sea_orm::Statement::from_sql_and_values(
        connection.get_database_backend(),
        there,
        ["deployment".into()],
    );
    if connection
        .query_one_raw(statement)
        .await
        .map_err(unavailable)?
        .is_none()
    {
        return Ok(SchemaStatus {
            level: 0,
            oldest_binary_level: 0,
            known_level: LEVEL,
        });
    }
    let row = deployment(connection).await?;
    Ok(SchemaStatus {
        level: row.schema_level,
        oldest_binary_level: row.oldest_binary_level,
        known_level: LEVEL,
    })
}

/// The row of a deployment whose schema serves this binary and lacks nothing.
pub(super) async fn serving(connection: &impl ConnectionTrait) -> Result<deployment::Model, Error> {
    status(connection).await?.serves()?;
    deployment(connection).await
}

async fn deployment(connection: &impl ConnectionTrait) -> Result<deployment::Model, Error> {
    deployment::Entity::find_by_id(1).one(connection).await.map_err(unavailable)?.ok_or_else(|| {
        Error::new(
            Reason::RecordCorrupt,
            "the database is damaged: its table `deployment` is empty; restore it from a backup",
        )
    })
}

fn locked(error: DbErr) -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "another byokd has been migrating the database for a minute; see what it does, then start again",
    )
    .caused_by(error)
}

impl Store {
    /// Brings a database to this binary's level, without serving it.
    pub async fn migrate(settings: &Settings) -> Result<SchemaStatus, Error> {
        match Self::connect(settings, OpenMode::Maintain).await? {
            (Engine::Sqlite { .. }, writer) => migrate(&writer).await,
            (Engine::Postgres(postgres), writer) => {
                let setup = postgres.begin(&writer).await?;
                let status = migrate(&setup).await?;
                setup.commit().await.map_err(unavailable)?;
                Ok(status)
            }
        }
    }

    /// Reads what a database says of itself.
    pub async fn schema_status(settings: &Settings) -> Result<SchemaStatus, Error> {
        if !settings.is_postgres() {
            let path = sqlite::path(&settings.url)?;
            if !path.exists() {
                return Err(Error::new(
                    Reason::StoreUnavailable,
                    format!("there is no database at {}", path.display()),
                ));
            }
        }
        match Self::connect(settings, OpenMode::Maintain).await? {
            (Engine::Sqlite { .. }, writer) => status(&writer).await,
            (Engine::Postgres(postgres), writer) => status(&postgres.begin(&writer).await?).await,
        }
    }
}
