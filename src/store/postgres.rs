//! PostgreSQL, for many replicas: two pools, one that reads and one that changes.
//!
//! Invariants: every wait has a limit. A connection that was left in the middle of a statement is given a moment to
//! come back to rest, else it is closed; one that rested is tried before it is used; those of a server that turned out
//! to be read-only are not used again. Behind a transaction pooler nothing of a session is relied on: no statement is
//! kept, and each read is a transaction of its own. A URL that does not work is told in one line, without its password.
//!
//! Absent: queries; and replicas of the database, which might show a key that was revoked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    RuntimeErr, SqlxError, Statement, TransactionTrait,
};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    pool::{PoolConnectionMetadata, PoolOptions},
    postgres::PgConnectOptions,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Pooler, Settings,
    fault::{too_slow, unavailable},
};
use crate::domain::error::{Error, Reason};

/// How long a read waits for a connection.
const READ_ACQUIRE: Duration = Duration::from_millis(250);
/// How long a read may take; on expiry its connection is closed.
const READ_LIMIT: Duration = Duration::from_secs(1);
/// How long a change waits for a connection, and how long making one may take.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long a connection may take to come to rest.
const REST: Duration = Duration::from_millis(250);
/// A connection that rested for longer is tried before it is used.
const TRIED_AFTER: Duration = Duration::from_secs(1);
/// How long the first connection may take; what is wrong with the URL shows here.
const FIRST: Duration = Duration::from_secs(15);

/// What both pools know.
#[derive(Debug)]
pub(super) struct Postgres {
    options: PgConnectOptions,
    pooler: Pooler,
    renewal: Arc<Renewal>,
    /// One for each connection that answers ordinary reads.
    turns: Semaphore,
}

/// Who waits for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// As many at once as there are connections for reads.
    Ordinary,
    /// Never waits for the others: if the log could not be read because everybody reads, everybody would read again.
    Reserved,
}

/// Connections that are older than this are not used again.
#[derive(Debug)]
struct Renewal {
    start: Instant,
    /// Milliseconds since `start`.
    not_before: AtomicU64,
}

impl Renewal {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn outdated(&self, connection: &PoolConnectionMetadata) -> bool {
        let age = u64::try_from(connection.age.as_millis()).unwrap_or(u64::MAX);
        self.now().saturating_sub(age) < self.not_before.load(Ordering::Relaxed)
    }
}

impl Postgres {
    /// Tries the URL once, so that what is wrong with it is told.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Error> {
        let options = options(&settings.url, settings.pooler)?;
        let first = tokio::time::timeout(FIRST, PgConnection::connect_with(&options));
        let connection = match first.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(refused(&options, &error)),
            Err(_) => {
                return Err(Error::new(
                    Reason::StoreUnavailable,
                    format!(
                        "{} does not answer within {FIRST:?}; check host and port of database.url, and the \
                         firewall",
                        place(&options)
                    ),
                ));
            }
        };
        // It served its purpose; the pools make their own.
        let _closed = tokio::time::timeout(REST, connection.close()).await;
        let renewal = Renewal { start: Instant::now(), not_before: AtomicU64::new(0) };
        let turns = usize::try_from(settings.read_connections).map_err(Error::internal)?;
        let (pooler, renewal) = (settings.pooler, Arc::new(renewal));
        Ok(Self { options, pooler, renewal, turns: Semaphore::new(turns) })
    }

    /// The pool that answers reads; its connections are there.
    pub(super) async fn readers(&self, settings: &Settings) -> Result<DatabaseConnection, Error> {
        // One more, which only the follower of the change log uses.
        self.pool(settings.read_connections.saturating_add(1)).await
    }

    /// The pool that makes changes; its connections are there.
    pub(super) async fn writer(&self, settings: &Settings) -> Result<DatabaseConnection, Error> {
        self.pool(settings.write_connections).await
    }

    /// A transaction to look around in, or to prepare the database.
    pub(super) async fn begin(&self, writer: &DatabaseConnection) -> Result<DatabaseTransaction, Error> {
        let transaction = writer.begin().await.map_err(unavailable)?;
        if self.pooler == Pooler::Transaction {
            transaction.execute_unprepared(FORGET_STATEMENTS).await.map_err(unavailable)?;
        }
        Ok(transaction)
    }

    /// From now on connections are made anew: those that there are lead to a server that must not be used.
    pub(super) fn renew(&self) {
        self.renewal.not_before.store(self.renewal.now(), Ordering::Relaxed);
    }

    /// The rows of one statement, outside a transaction.
    pub(super) async fn rows(
        &self,
        readers: &DatabaseConnection,
        statement: Statement,
        line: Line,
    ) -> Result<Vec<QueryResult>, Error> {
        let _turn = self.admit(readers.get_postgres_connection_pool(), line).await?;
        let reading = async {
            match self.pooler {
                Pooler::None => readers.query_all_raw(statement).await,
                Pooler::Transaction => {
                    // Preparing and running must meet the same session, so they share a transaction.
                    let transaction = readers.begin().await?;
                    transaction.execute_unprepared(FORGET_STATEMENTS).await?;
                    let rows = transaction.query_all_raw(statement).await?;
                    transaction.commit().await?;
                    Ok(rows)
                }
            }
        };
        match tokio::time::timeout(READ_LIMIT, reading).await {
            Ok(rows) => rows.map_err(unavailable),
            Err(_) => Err(too_slow("a read", READ_LIMIT)),
        }
    }

    /// Waits for a connection, as long as a read may. One that takes longer to make is made all the same, by a task of
    /// its own, for those who come later.
    async fn admit(&self, readers: &PgPool, line: Line) -> Result<Option<SemaphorePermit<'_>>, Error> {
        let admitted = async {
            let turn = match line {
                Line::Reserved => None,
                Line::Ordinary => Some(self.turns.acquire().await.map_err(Error::internal)?),
            };
            if readers.num_idle() == 0 {
                let pool = readers.clone();
                let coming = tokio::spawn(async move { pool.acquire().await.map(drop) });
                coming.await.map_err(Error::internal)?.map_err(|error| unavailable(conn_error(error)))?;
            }
            Ok(turn)
        };
        tokio::time::timeout(READ_ACQUIRE, admitted)
            .await
            .unwrap_or_else(|_| Err(too_slow("waiting for a connection", READ_ACQUIRE)))
    }

    async fn pool(&self, connections: u32) -> Result<DatabaseConnection, Error> {
        // The URL that sea-orm wants is only a form; everything is set by `options`.
        let mut form = ConnectOptions::new("postgres://localhost");
        let (options, renewal) = (self.options.clone(), Arc::clone(&self.renewal));
        form.max_connections(connections)
            // All of them, always: who reads must not wait until one is made.
            .min_connections(connections)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_lazy(true)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .map_sqlx_postgres_opts(move |_| options.clone())
            .map_sqlx_postgres_pool_opts(move |pool| watched(pool, &renewal));
        let pool = Database::connect(form).await.map_err(unavailable)?;
        // Start with all of them, however long that takes: who starts may wait longer than who reads.
        let first = async {
            let mut held = Vec::new();
            for _ in 0..connections {
                match pool.get_postgres_connection_pool().acquire().await {
                    Ok(connection) => held.push(connection),
                    // As many as the server gives; one is enough to begin with.
                    Err(SqlxError::PoolTimedOut) if !held.is_empty() => break,
                    Err(SqlxError::PoolTimedOut) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(FIRST, first).await {
            Ok(done) => done.map_err(|error| refused(&self.options, &error))?,
            Err(_) => return Err(too_slow("the first connection", FIRST)),
        }
        Ok(pool)
    }
}

fn conn_error(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

/// What makes the named statements of earlier transactions vanish, ours or another client's.
const FORGET_STATEMENTS: &str = "DEALLOCATE ALL";

fn watched(pool: PoolOptions<sqlx::Postgres>, renewal: &Arc<Renewal>) -> PoolOptions<sqlx::Postgres> {
    let renewal = Arc::clone(renewal);
    pool.before_acquire(move |connection, about| {
        let outdated = renewal.outdated(&about);
        Box::pin(async move {
            if outdated {
                return Ok(false);
            }
            if about.idle_for < TRIED_AFTER {
                return Ok(true);
            }
            Ok(matches!(tokio::time::timeout(REST, connection.ping()).await, Ok(Ok(()))))
        })
    })
    .after_release(|connection, _| {
        Box::pin(async move {
            // A caller who is gone may have left a statement running; the library itself would wait for ever.
            match tokio::time::timeout(REST, connection.ping()).await {
                Ok(rested) => rested.map(|()| true),
                Err(_) => Err(SqlxError::Io(std::io::ErrorKind::TimedOut.into())),
            }
        })
    })
}

/// The options that a URL stands for.
pub(super) fn options(url: &str, pooler: Pooler) -> Result<PgConnectOptions, Error> {
    let parsed: PgConnectOptions = url.parse().map_err(|_| {
        // The library's error may quote the URL, and with it the password.
        Error::new(
            Reason::StoreUnavailable,
            "database.url is not a PostgreSQL URL; write postgres://user:password@host:5432/database?\
             sslmode=verify-full, with special characters of the password percent-encoded",
        )
    })?;
    let parsed = parsed.application_name("byokd");
    Ok(match pooler {
        Pooler::None => parsed,
        Pooler::Transaction => parsed.statement_cache_capacity(0),
    })
}

/// Whether a statement failed because the server takes no changes: a standby, or the old primary after a failover.
pub(super) fn is_read_only(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    let code = match &**error {
        SqlxError::Database(error) => error.code(),
        _ => None,
    };
    code.as_deref() == Some("25006")
}

fn place(options: &PgConnectOptions) -> String {
    format!("PostgreSQL at {}:{}", options.get_host(), options.get_port())
}

/// What an operator needs to know of a first connection that failed.
fn refused(options: &PgConnectOptions, error: &SqlxError) -> Error {
    let (place, user) = (place(options), options.get_username());
    let database = options.get_database().unwrap_or(user);
    let why = match error {
        // What a certificate lacks comes as an input that is not valid.
        SqlxError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            format!("no TLS with {place}: {error}; check sslmode and sslrootcert of database.url")
        }
        SqlxError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!(
                "a file that database.url names cannot be read: {error}; check sslrootcert, sslcert and sslkey"
            )
        }
        SqlxError::Io(error) => format!("cannot reach {place}: {error}; check host and port of database.url"),
        SqlxError::Tls(error) => {
            format!("no TLS with {place}: {error}; check sslmode and sslrootcert of database.url")
        }
        SqlxError::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => {
                format!(
                    "{place} refuses the user {user}: {}; check the password in database.url",
                    error.message()
                )
            }
            Some("3D000") => format!("{place} has no database {database}; create it, or mend database.url"),
            _ => format!("{place} refuses the connection: {}", error.message()),
        },
        other => format!("{place} refuses the connection: {other}"),
    };
    Error::new(Reason::StoreUnavailable, why)
}
