//! The open database: connections for changes, for reads and for the change log.
//!
//! Invariants: every wait has a limit. The change log has a connection of its own.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};

use super::{
    limited_reads::LimitedReads,
    limits::{LONG, LONG_LIMIT, committed},
    observe::observe,
    postgres::{Hints, Postgres, READER_SESSION},
    settings::{OpenMode, StoreSettings},
    sqlite,
    statements::change_log,
    writer::{Engine, Writer},
};
use crate::domain::error::{Error, Reason};

/// How long a connection may take to close.
const CLOSE: Duration = Duration::from_secs(2);

/// The open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: Writer,
    readers: DatabaseConnection,
    log_reader: DatabaseConnection,
    pub(super) hints: Hints,
    /// Whether the server reports its identity (`change_log::reports_identity`).
    pub(super) reports_identity: bool,
}

impl Database {
    /// Opens the connections for reads beside those for changes.
    pub(super) async fn open(
        writer: Writer,
        settings: &StoreSettings,
        mode: OpenMode,
    ) -> Result<Self, Error> {
        let Engine::Postgres(postgres) = &writer.engine else {
            let readers = sqlite::readers(&sqlite::path(&settings.url)?).await?;
            return Ok(Self {
                writer,
                log_reader: readers.clone(),
                readers,
                hints: Hints::default(),
                reports_identity: false,
            });
        };
        let transaction = postgres.begin(&writer.connections).await?;
        let reports_identity = change_log::reports_identity(&transaction).await?;
        drop(transaction);
        let hints = match mode {
            OpenMode::Serve => Postgres::hints(settings, &writer.connections)?,
            OpenMode::Maintain => Hints::default(),
        };
        // With a connection of its own, the change log never waits for other reads. If it did, a full read pool would make
        // every cached workspace stale, and more reads would follow.
        let (readers, log_reader) = tokio::try_join!(
            postgres.pool(settings.read_connections, READER_SESSION),
            postgres.pool(1, READER_SESSION)
        )?;
        Ok(Self {
            writer,
            readers,
            log_reader,
            hints,
            reports_identity,
        })
    }

    /// The connections for reads.
    pub(super) fn reads(&self) -> LimitedReads<'_> {
        LimitedReads {
            engine: &self.writer.engine,
            connections: &self.readers,
        }
    }

    /// The connection for the change log.
    pub(super) fn log_reads(&self) -> LimitedReads<'_> {
        LimitedReads {
            connections: &self.log_reader,
            ..self.reads()
        }
    }

    /// Runs `work` with a span and metrics.
    pub(super) async fn observe<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        observe(self.writer.system(), operation, work).await
    }

    /// Runs `work`, which may take longer than a read, in a transaction that only reads.
    pub(super) async fn read_long<T>(
        &self,
        step: &str,
        work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begin = async {
            let Engine::Postgres(postgres) = &self.writer.engine else {
                return Ok(self.readers.begin().await?);
            };
            let transaction = postgres.begin(&self.readers).await?;
            transaction.execute_unprepared(LONG_LIMIT).await?;
            Ok(transaction)
        };
        committed(step, LONG, begin, work).await
    }

    /// Replaces the connections if the database was unavailable: they may lead to a standby.
    pub(super) fn renew_after<T>(&self, outcome: &Result<T, Error>) {
        if let Err(error) = outcome
            && error.reason() == Reason::StoreUnavailable
        {
            self.renew();
        }
    }

    /// Replaces the connections: they lead to a server that must not be used.
    pub(super) fn renew(&self) {
        if let Engine::Postgres(postgres) = &self.writer.engine {
            postgres.renew();
        }
    }

    /// Closes the connections and releases the claim on a SQLite file. Open transactions are rolled back.
    pub(super) async fn close(&self) {
        tokio::join!(close(&self.log_reader), close(&self.readers));
        // Last, because SQLite empties its write-ahead log when the last connection closes, if that one can write.
        let closed = close(&self.writer.connections).await;
        // A commit may still be running on a connection that did not close; then the claim lasts as long as this process.
        if closed && let Engine::Sqlite { claim: Some(claim) } = &self.writer.engine {
            sqlite::unclaim(claim);
        }
    }
}

/// Whether the connections closed in time.
async fn close(connections: &DatabaseConnection) -> bool {
    match tokio::time::timeout(CLOSE, connections.close_by_ref()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "a database connection did not close"),
        Err(_) => tracing::warn!("a database connection did not close within {CLOSE:?}"),
    }
    false
}
