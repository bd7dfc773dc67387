//! A transaction that changes something, from its beginning.
//!
//! Invariants: on PostgreSQL a statement takes no longer than the server is told here, and a process that stops in the
//! middle (a long pause, a cut network) is thrown out by the server, so that it cannot hold a lock that others need. On
//! our side each step has a limit, too; what was not committed by then is rolled back or in doubt.
//!
//! Absent: what is changed.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DeleteMany, EntityTrait, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::{
    Engine, Store,
    fault::{too_slow, unavailable},
};
use crate::domain::error::Error;

/// In the server's own hands: it goes on when we do not.
const SERVER_LIMITS: &str =
    "SET LOCAL statement_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '2s'";
/// For what concerns many rows.
pub(super) const LONG_LIMIT: &str = "SET LOCAL statement_timeout = '60s'";
/// The same on our side.
pub(super) const LONG: Duration = Duration::from_secs(70);
/// How long a step may take on our side, waiting for a connection included.
const POSTGRES_LIMIT: Duration = Duration::from_secs(5);
/// The same on SQLite, whose one writer may have a queue before it.
const SQLITE_LIMIT: Duration = Duration::from_secs(15);

impl Store {
    /// Begins a transaction.
    pub(super) async fn transaction(&self) -> Result<DatabaseTransaction, Error> {
        limited("the beginning of a change", self.step_limit(), async {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            match &self.engine {
                Engine::Sqlite { .. } => self
                    .writer
                    .begin_with_options(options)
                    .await
                    .map_err(unavailable),
                Engine::Postgres(postgres) => {
                    let transaction = postgres.begin(&self.writer).await?;
                    transaction
                        .execute_unprepared(SERVER_LIMITS)
                        .await
                        .map_err(unavailable)?;
                    Ok(transaction)
                }
            }
        })
        .await
    }

    /// Begins one for a statement that concerns many rows and that nobody waits for; `LONG` limits it on our side.
    pub(super) async fn long_transaction(&self) -> Result<DatabaseTransaction, Error> {
        let transaction = self.transaction().await?;
        if let Engine::Postgres(_) = &self.engine {
            transaction
                .execute_unprepared(LONG_LIMIT)
                .await
                .map_err(unavailable)?;
        }
        Ok(transaction)
    }

    /// Deletes what is of no use any more, however much it is; answers how many rows went.
    pub(super) async fn purge<E: EntityTrait>(&self, delete: DeleteMany<E>) -> Result<u64, Error> {
        limited("a purge", LONG, async {
            let transaction = self.long_transaction().await?;
            let purged = delete.exec(&transaction).await.map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)?;
            Ok(purged.rows_affected)
        })
        .await
    }

    /// How long one step of a change may take.
    pub(super) fn step_limit(&self) -> Duration {
        match &self.engine {
            Engine::Sqlite { .. } => SQLITE_LIMIT,
            Engine::Postgres(_) => POSTGRES_LIMIT,
        }
    }
}

/// The outcome of a step, if it comes in time.
pub(super) async fn limited<T>(
    what: &str,
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, step)
        .await
        .unwrap_or_else(|_| Err(too_slow(what, limit)))
}
