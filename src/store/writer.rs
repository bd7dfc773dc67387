//! The engine and its connections for changes.
//!
//! Invariants: every transaction has limits on byokd's side, and on PostgreSQL in the server.
//!
//! Not here: statements, and connections for reads (`database`).

use std::{fs::File, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DeleteMany, EntityTrait,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use super::{
    entities::deployment,
    limits::{CHANGE_LIMITS, LONG, LONG_LIMIT, POSTGRES_STEP, SQLITE_STEP, committed, limited},
    postgres::{Postgres, WRITER_SESSION},
    schema,
    settings::{OpenMode, StoreSettings},
    sqlite,
};
use crate::domain::error::Error;

/// The database engine.
#[derive(Debug)]
pub(super) enum Engine {
    Sqlite {
        /// Held while this process serves, so that a second one refuses to.
        claim: Option<File>,
    },
    Postgres(Box<Postgres>),
}

/// The engine and its connections for changes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) engine: Engine,
    pub(super) connections: DatabaseConnection,
}

impl Writer {
    /// Connects to the database; `OpenMode::Serve` claims a SQLite file.
    pub(super) async fn connect(settings: &StoreSettings, mode: OpenMode) -> Result<Self, Error> {
        if settings.is_postgres() {
            let postgres = Postgres::open(settings).await?;
            return Ok(Self {
                connections: postgres
                    .pool(settings.write_connections, WRITER_SESSION)
                    .await?,
                engine: Engine::Postgres(Box::new(postgres)),
            });
        }
        let path = sqlite::path(&settings.url)?;
        let claim = match mode {
            OpenMode::Serve => Some(sqlite::claim(&path)?),
            OpenMode::Maintain => None,
        };
        Ok(Self {
            engine: Engine::Sqlite { claim },
            connections: sqlite::writer(&path).await?,
        })
    }

    /// Reads the `deployment` row; migrates the schema first if `migrate`.
    pub(super) async fn deployment(
        &self,
        migrate: bool,
    ) -> Result<Option<deployment::Model>, Error> {
        let Engine::Postgres(postgres) = &self.engine else {
            return match migrate {
                true => schema::migrate(&self.connections).await,
                false => schema::read(&self.connections).await,
            };
        };
        let transaction = postgres.begin(&self.connections).await?;
        let row = match migrate {
            true => schema::migrate(&transaction).await?,
            false => schema::read(&transaction).await?,
        };
        transaction.commit().await?;
        Ok(row)
    }

    /// The engine's name in OpenTelemetry's conventions.
    pub(super) fn system(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgresql",
        }
    }

    /// The limit of one step of a change.
    pub(super) fn step_limit(&self) -> Duration {
        match &self.engine {
            Engine::Sqlite { .. } => SQLITE_STEP,
            Engine::Postgres(_) => POSTGRES_STEP,
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, Error> {
        limited("the beginning of a change", self.step_limit(), async {
            let Engine::Postgres(postgres) = &self.engine else {
                let options = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..Default::default()
                };
                return Ok(self.connections.begin_with_options(options).await?);
            };
            let transaction = postgres.begin(&self.connections).await?;
            transaction.execute_unprepared(CHANGE_LIMITS).await?;
            Ok(transaction)
        })
        .await
    }

    /// Runs `work` in a transaction and commits it.
    pub(super) async fn write<T>(
        &self,
        step: &str,
        work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        committed(step, self.step_limit(), self.begin(), work).await
    }

    /// Like `write`, for statements over many rows that no caller waits for.
    pub(super) async fn write_long<T>(
        &self,
        step: &str,
        work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begin = async {
            let transaction = self.begin().await?;
            if let Engine::Postgres(_) = &self.engine {
                transaction.execute_unprepared(LONG_LIMIT).await?;
            }
            Ok(transaction)
        };
        committed(step, LONG, begin, work).await
    }

    /// Deletes rows that are no longer needed; returns how many.
    pub(super) async fn purge<E: EntityTrait>(&self, delete: DeleteMany<E>) -> Result<u64, Error> {
        let purge = async |transaction: &DatabaseTransaction| {
            Ok(delete.exec(transaction).await?.rows_affected)
        };
        self.write_long("a purge", purge).await
    }
}
