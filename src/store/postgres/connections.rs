//! The connections to a PostgreSQL server: a pool for reads, one for changes, and one connection for the change log.
//!
//! Invariants:
//! - Every wait has a limit.
//! - Behind a transaction pooler nothing relies on a session: no statement stays prepared, and each read is a
//!   transaction of its own.

use std::{fmt, sync::Arc, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult, RuntimeErr,
    Statement, TransactionTrait,
};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    hints::Hints,
    pool::{self, REST, Renewal},
    url::{FIRST, does_not_answer, is_unreachable, options, place, refused},
};
use crate::domain::error::Error;
use crate::store::{
    db_error::timed_out,
    settings::{PoolerMode, StoreSettings},
};

/// How long a read waits for a connection.
const READ_ACQUIRE: Duration = Duration::from_millis(250);
/// How long a read may take; then its connection is closed.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// Deletes the named statements of earlier transactions in the session, byokd's or another client's.
const DEALLOCATE: &str = "DEALLOCATE ALL";
/// The server limit of reads: the server would go on after byokd has given up.
pub(crate) const READER_SESSION: &str = "SET statement_timeout = '1s'";
/// A change sets its own limits.
pub(crate) const WRITER_SESSION: &str = "SET statement_timeout = '0'";
/// `DEALLOCATE` and `READER_SESSION` for one transaction.
const POOLED_READ: &str = "DEALLOCATE ALL; SET LOCAL statement_timeout = '1s'";

/// A PostgreSQL server and the state that its pools share.
pub(crate) struct Postgres {
    options: PgConnectOptions,
    pooler: PoolerMode,
    renewal: Arc<Renewal>,
    /// One permit for each connection of the read pool.
    reads: Semaphore,
}

/// Derived `Debug` would print the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", place(&self.options))
    }
}

impl Postgres {
    /// Connects once, so that errors in the URL are reported.
    pub(crate) async fn open(settings: &StoreSettings) -> Result<Self, Error> {
        let options = options("database.url", &settings.url, settings.pooler)?;
        let first = tokio::time::timeout(FIRST, PgConnection::connect_with(&options));
        let connection = match first.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(refused(&options, &error)),
            Err(_) => return Err(does_not_answer(&options)),
        };
        let _closed = tokio::time::timeout(REST, connection.close()).await;
        let reads = usize::try_from(settings.read_connections).map_err(Error::internal)?;
        Ok(Self {
            options,
            pooler: settings.pooler,
            renewal: Arc::default(),
            reads: Semaphore::new(reads),
        })
    }

    /// Whether a running server answers, even by refusing the connection.
    pub(crate) async fn is_up(settings: &StoreSettings) -> bool {
        let Ok(options) = options("database.url", &settings.url, settings.pooler) else {
            return true;
        };
        match tokio::time::timeout(FIRST, PgConnection::connect_with(&options)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !is_unreachable(&error),
            Err(_) => false,
        }
    }

    /// Opens a pool. `session` sets the limits of its sessions.
    pub(crate) async fn pool(
        &self,
        connections: u32,
        session: &'static str,
    ) -> Result<DatabaseConnection, Error> {
        // A transaction pooler would not keep it.
        let session = (self.pooler == PoolerMode::None).then_some(session);
        pool::open(&self.options, connections, session, &self.renewal).await
    }

    /// Listens for change hints, if a URL for it is known.
    pub(crate) fn hints(
        settings: &StoreSettings,
        writers: &DatabaseConnection,
    ) -> Result<Hints, Error> {
        let Some((setting, url)) = settings.listen_at() else {
            tracing::info!(
                "database.listen_url is not set and the pooler pools transactions: changes of other replicas are \
                 seen by polling only, within half a second"
            );
            return Ok(Hints::default());
        };
        let options = options(setting, url, PoolerMode::None)?;
        Ok(Hints::listen(options, writers.clone()))
    }

    /// Begins a transaction.
    pub(crate) async fn begin(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, DbErr> {
        let transaction = connection.begin().await?;
        if self.pooler == PoolerMode::Transaction {
            transaction.execute_unprepared(DEALLOCATE).await?;
        }
        Ok(transaction)
    }

    /// Replaces all connections: they lead to a server that must not be used.
    pub(crate) fn renew(&self) {
        self.renewal.renew();
    }

    /// Returns the rows of one statement outside a transaction.
    pub(crate) async fn rows(
        &self,
        readers: &DatabaseConnection,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let _permit = self.admit(readers.get_postgres_connection_pool()).await?;
        let read = async {
            if self.pooler == PoolerMode::None {
                return readers.query_all_raw(statement).await;
            }
            // The same session must prepare and run the statement, so both are in one transaction.
            let transaction = readers.begin().await?;
            transaction.execute_unprepared(POOLED_READ).await?;
            let rows = transaction.query_all_raw(statement).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        tokio::time::timeout(READ_LIMIT, read)
            .await
            .map_err(|_| timed_out("a read", READ_LIMIT))?
    }

    /// Waits for a connection. A task of its own opens a new one, so that a slow one is there for later reads.
    async fn admit(&self, readers: &PgPool) -> Result<Option<SemaphorePermit<'_>>, DbErr> {
        let admitted = async {
            let permit = match readers.options().get_max_connections() {
                1 => None,
                _ => Some(self.reads.acquire().await.map_err(internal)?),
            };
            if readers.num_idle() == 0 {
                let pool = readers.clone();
                let opening = tokio::spawn(async move { pool.acquire().await.map(drop) });
                let opened = opening.await.map_err(internal)?;
                opened.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
            }
            Ok(permit)
        };
        tokio::time::timeout(READ_ACQUIRE, admitted)
            .await
            .map_err(|_| timed_out("waiting for a connection", READ_ACQUIRE))?
    }
}

fn internal(error: impl fmt::Display) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(error.to_string()))
}
