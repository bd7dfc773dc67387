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
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    QueryResult, RuntimeErr, SqlxError, Statement, TransactionTrait,
};
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool,
    pool::{PoolConnectionMetadata, PoolOptions},
    postgres::PgConnectOptions,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
};

use super::{
    Pooler, Settings,
    fault::{too_slow, unavailable},
    postgres_url::{is_away, options, place, refused},
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
/// How soon connections are made anew again: every change that is refused asks for it, and who reads must not go without.
const RENEWED_AGAIN: Duration = Duration::from_secs(2);
/// How long the first connection may take; what is wrong with the URL shows here.
const FIRST: Duration = Duration::from_secs(15);

/// What the pools have in common.
pub(super) struct Postgres {
    options: PgConnectOptions,
    pooler: Pooler,
    renewal: Arc<Renewal>,
    /// One for each connection that answers ordinary reads.
    turns: Semaphore,
}

/// The library's own form of the options shows the password.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Postgres({})", place(&self.options))
    }
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
        millis(self.start.elapsed())
    }

    fn outdated(&self, connection: &PoolConnectionMetadata) -> bool {
        self.now().saturating_sub(millis(connection.age)) < self.not_before.load(Ordering::Relaxed)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Postgres {
    /// Tries the URL once, so that what is wrong with it is told.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Error> {
        let options = options("database.url", &settings.url, settings.pooler)?;
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
        let renewal = Renewal {
            start: Instant::now(),
            not_before: AtomicU64::new(0),
        };
        let turns = usize::try_from(settings.read_connections).map_err(Error::internal)?;
        let (pooler, renewal) = (settings.pooler, Arc::new(renewal));
        Ok(Self {
            options,
            pooler,
            renewal,
            turns: Semaphore::new(turns),
        })
    }

    /// Whether a server answers that is up, be it by a refusal. A URL that leads nowhere for good looks like a server that
    /// is away.
    pub(super) async fn answers(settings: &Settings) -> bool {
        let Ok(options) = options("database.url", &settings.url, settings.pooler) else {
            return true;
        };
        match tokio::time::timeout(FIRST, PgConnection::connect_with(&options)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !is_away(&error),
            Err(_) => false,
        }
    }

    /// The pool that answers reads; its connections are there.
    pub(super) async fn readers(&self, settings: &Settings) -> Result<DatabaseConnection, Error> {
        self.pool(settings.read_connections, READER_SESSION).await
    }

    /// One connection for whoever follows the change log, so that it never waits for other reads: if the log could not be
    /// read because everybody reads, everybody would read again.
    pub(super) async fn log_reader(&self) -> Result<DatabaseConnection, Error> {
        self.pool(1, READER_SESSION).await
    }

    /// The pool that makes changes; its connections are there.
    pub(super) async fn writer(&self, settings: &Settings) -> Result<DatabaseConnection, Error> {
        self.pool(settings.write_connections, WRITER_SESSION).await
    }

    /// A transaction to look around in, or to prepare the database.
    pub(super) async fn begin(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, Error> {
        let transaction = connection.begin().await.map_err(unavailable)?;
        if self.pooler == Pooler::Transaction {
            transaction
                .execute_unprepared(FORGET_STATEMENTS)
                .await
                .map_err(unavailable)?;
        }
        Ok(transaction)
    }

    /// From now on connections are made anew: those that there are lead to a server that must not be used.
    pub(super) fn renew(&self) {
        let (now, again) = (self.renewal.now(), millis(RENEWED_AGAIN));
        let due = |last: u64| (last == 0 || now.saturating_sub(last) >= again).then_some(now);
        // Whether it was just done or not: there is nothing more to do.
        let _renewed =
            self.renewal
                .not_before
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, due);
    }

    /// The rows of one statement, outside a transaction.
    pub(super) async fn rows(
        &self,
        readers: &DatabaseConnection,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, Error> {
        let _turn = self.admit(readers.get_postgres_connection_pool()).await?;
        let reading = async {
            match self.pooler {
                Pooler::None => readers.query_all_raw(statement).await,
                Pooler::Transaction => {
                    // Preparing and running must meet the same session, so they share a transaction.
                    let transaction = readers.begin().await?;
                    transaction.execute_unprepared(POOLED_READ).await?;
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
    async fn admit(&self, readers: &PgPool) -> Result<Option<SemaphorePermit<'_>>, Error> {
        let admitted = async {
            let turn = match readers.options().get_max_connections() {
                1 => None,
                _ => Some(self.turns.acquire().await.map_err(Error::internal)?),
            };
            if readers.num_idle() == 0 {
                let pool = readers.clone();
                let coming = tokio::spawn(async move { pool.acquire().await.map(drop) });
                coming
                    .await
                    .map_err(Error::internal)?
                    .map_err(|error| unavailable(conn_error(error)))?;
            }
            Ok(turn)
        };
        tokio::time::timeout(READ_ACQUIRE, admitted)
            .await
            .unwrap_or_else(|_| Err(too_slow("waiting for a connection", READ_ACQUIRE)))
    }

    async fn pool(
        &self,
        connections: u32,
        session: &'static str,
    ) -> Result<DatabaseConnection, Error> {
        // The URL that sea-orm wants is only a form; everything is set by `options`.
        let mut form = ConnectOptions::new("postgres://localhost");
        let (options, renewal) = (self.options.clone(), Arc::clone(&self.renewal));
        let session = (self.pooler == Pooler::None).then_some(session);
        form.max_connections(connections)
            // The library's own filling up waits minutes for a host that is gone, and holds the place meanwhile.
            .min_connections(0)
            .idle_timeout(None)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_lazy(true)
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .map_sqlx_postgres_opts(move |_| options.clone())
            .map_sqlx_postgres_pool_opts(move |pool| watched(pool, session, &renewal));
        let pool = Database::connect(form).await.map_err(unavailable)?;
        let filled = tokio::time::timeout(
            FIRST,
            fill(pool.get_postgres_connection_pool(), connections),
        );
        match filled.await {
            Ok(Ok(())) => Ok(pool),
            Ok(Err(error)) => Err(refused(&self.options, &error)),
            Err(_) => Err(too_slow("the first connection", FIRST)),
        }
    }
}

/// Makes all connections of a pool, however long the first one takes: who starts may wait longer than who reads. The
/// others are made at once, as many as the server gives.
async fn fill(pool: &PgPool, connections: u32) -> Result<(), SqlxError> {
    let first = loop {
        match pool.acquire().await {
            Err(SqlxError::PoolTimedOut) => {}
            acquired => break acquired?,
        }
    };
    let mut others = JoinSet::new();
    for _ in 1..connections {
        let pool = pool.clone();
        others.spawn(async move { pool.acquire().await });
    }
    // Each is held until all are there; one that is given back would be taken again.
    let acquired = others.join_all().await;
    drop(first);
    let refused = |error: &SqlxError| !matches!(error, SqlxError::PoolTimedOut);
    acquired
        .into_iter()
        .filter_map(Result::err)
        .find(refused)
        .map_or(Ok(()), Err)
}

fn conn_error(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

/// What makes the named statements of earlier transactions vanish, ours or another client's.
const FORGET_STATEMENTS: &str = "DEALLOCATE ALL";
/// What limits a read at the server, which would work on after we have left.
const READER_SESSION: &str = "SET statement_timeout = '1s'";
/// A change sets its own limits.
const WRITER_SESSION: &str = "SET statement_timeout = '0'";
/// Both, where a session lasts for one transaction.
const POOLED_READ: &str = "DEALLOCATE ALL; SET LOCAL statement_timeout = '1s'";

fn watched(
    pool: PoolOptions<sqlx::Postgres>,
    session: Option<&'static str>,
    renewal: &Arc<Renewal>,
) -> PoolOptions<sqlx::Postgres> {
    let renewal = Arc::clone(renewal);
    pool.after_connect(move |connection, _| {
        Box::pin(async move {
            if let Some(session) = session {
                connection.execute(session).await?;
            }
            Ok(())
        })
    })
    .before_acquire(move |connection, about| {
        let outdated = renewal.outdated(&about);
        Box::pin(async move {
            if outdated {
                return Ok(false);
            }
            if about.idle_for < TRIED_AFTER {
                return Ok(true);
            }
            Ok(matches!(
                tokio::time::timeout(REST, connection.ping()).await,
                Ok(Ok(()))
            ))
        })
    })
    .after_release(|connection, _| {
        Box::pin(async move {
            // A caller who is gone may have left a statement running; the library itself would wait for ever.
            let rested = tokio::time::timeout(REST, async {
                match connection.ping().await {
                    // What was left unread may be the statement's own error, e.g. that it ran out of time.
                    Err(SqlxError::Database(_)) => connection.ping().await,
                    answered => answered,
                }
            });
            match rested.await {
                Ok(rested) => rested.map(|()| true),
                Err(_) => Err(SqlxError::Io(std::io::ErrorKind::TimedOut.into())),
            }
        })
    })
}

/// Whether a statement failed because the server takes no changes: a standby, or the old primary after a failover.
pub(super) fn is_read_only(error: &DbErr) -> bool {
    code(error).as_deref() == Some("25006")
}

/// The code of an error that the server told (SQLSTATE).
pub(super) fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return None;
    };
    match &**error {
        SqlxError::Database(error) => error.code().map(|code| code.into_owned()),
        _ => None,
    }
}
