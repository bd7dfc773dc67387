//! Time limits of database steps, on byokd's side and in the server.
//!
//! Invariants: the server enforces its limits even when byokd is paused or cut off, so that no dead process keeps a
//! lock. A step that passes the limit on byokd's side is rolled back or in doubt.

use std::time::Duration;

use sea_orm::DatabaseTransaction;

use super::db_error::timed_out;
use crate::domain::error::Error;

/// Server limits of a change.
pub(super) const CHANGE_LIMITS: &str =
    "SET LOCAL statement_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '2s'";
/// Server limit of a statement over many rows.
pub(super) const LONG_LIMIT: &str = "SET LOCAL statement_timeout = '60s'";
/// The limit of such a statement on byokd's side.
pub(super) const LONG: Duration = Duration::from_secs(70);
/// The limit of one step of a change on PostgreSQL, with the wait for a connection.
pub(super) const POSTGRES_STEP: Duration = Duration::from_secs(5);
/// The same on SQLite, where changes queue for the one writer.
pub(super) const SQLITE_STEP: Duration = Duration::from_secs(15);

/// Runs a step and fails if it takes longer than `limit`.
pub(super) async fn limited<T>(
    step: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| timed_out(step, limit))?
}

/// Begins a transaction, runs `work` in it and commits it, within one limit.
pub(super) async fn committed<T>(
    step: &str,
    limit: Duration,
    begin: impl Future<Output = Result<DatabaseTransaction, Error>>,
    work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    limited(step, limit, async {
        let transaction = begin.await?;
        let outcome = work(&transaction).await?;
        transaction.commit().await?;
        Ok(outcome)
    })
    .await
}
