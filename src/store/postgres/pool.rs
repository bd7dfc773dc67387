//! One pool of PostgreSQL connections.
//!
//! Invariants:
//! - A connection that was released in the middle of a statement finishes within `REST` or is closed.
//! - A connection that was idle for longer than `IDLE` is pinged before it is used.
//! - A connection that is older than the last `Renewal::renew` is not used again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, SqlxError};
use sqlx::{
    Connection as _, Executor as _, PgPool,
    pool::{PoolConnectionMetadata, PoolOptions},
    postgres::PgConnectOptions,
};
use tokio::task::JoinSet;

use super::url::{FIRST, refused};
use crate::{domain::error::Error, store::db_error::timed_out};

/// How long a change waits for a connection, and how long opening one may take.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long a released connection may take to finish its statement.
pub(super) const REST: Duration = Duration::from_millis(250);
/// An idle connection is pinged after this time.
const IDLE: Duration = Duration::from_secs(1);
/// The shortest time between two renewals: every refused change asks for one, and reads need connections meanwhile.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);

/// The time of the last renewal: older connections are not used again.
#[derive(Debug, Default)]
pub(super) struct Renewal(Mutex<Option<Instant>>);

impl Renewal {
    /// Replaces all connections: they lead to a server that must not be used.
    pub(super) fn renew(&self) {
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= RENEW_INTERVAL) {
            *last = Some(Instant::now());
        }
    }

    fn outdates(&self, connection: &PoolConnectionMetadata) -> bool {
        self.0
            .lock()
            .is_some_and(|last| connection.age > last.elapsed())
    }
}

/// Opens a pool and all its connections. `session`: a statement for each new connection.
pub(super) async fn open(
    options: &PgConnectOptions,
    connections: u32,
    session: Option<&'static str>,
    renewal: &Arc<Renewal>,
) -> Result<DatabaseConnection, Error> {
    // sea-orm needs a URL, but `connect_options` holds every setting.
    let mut settings = ConnectOptions::new("postgres://localhost");
    let (connect_options, renewal) = (options.clone(), Arc::clone(renewal));
    settings
        .max_connections(connections)
        // sqlx would wait for a lost host for minutes to reach a minimum, and hold the permit meanwhile.
        .min_connections(0)
        .idle_timeout(None)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .connect_lazy(true)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_opts(move |_| connect_options.clone())
        .map_sqlx_postgres_pool_opts(move |pool| with_checks(pool, session, &renewal));
    let pool = Database::connect(settings).await?;
    let filled = fill(pool.get_postgres_connection_pool(), connections);
    match tokio::time::timeout(FIRST, filled).await {
        Ok(Ok(())) => Ok(pool),
        Ok(Err(error)) => Err(refused(options, &error)),
        Err(_) => Err(timed_out("the first connection", FIRST).into()),
    }
}

/// Opens the connections of a pool. The first one may take longer than `ACQUIRE`, because a starting process can wait
/// longer than a read; the others are opened at once, as many as the server accepts.
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
    // Each connection is held until all are open; a released one would be acquired again.
    let acquired = others.join_all().await;
    drop(first);
    acquired
        .into_iter()
        .filter_map(Result::err)
        .find(|error| !matches!(error, SqlxError::PoolTimedOut))
        .map_or(Ok(()), Err)
}

fn with_checks(
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
    .before_acquire(move |connection, metadata| {
        let outdated = renewal.outdates(&metadata);
        Box::pin(async move {
            if outdated || metadata.idle_for < IDLE {
                return Ok(!outdated);
            }
            let pinged = tokio::time::timeout(REST, connection.ping()).await;
            Ok(matches!(pinged, Ok(Ok(()))))
        })
    })
    .after_release(|connection, _| {
        Box::pin(async move {
            // A cancelled caller may have left a statement running; sqlx itself would wait without a limit.
            let rested = tokio::time::timeout(REST, async {
                match connection.ping().await {
                    // The first answer may be the statement's own error, e.g. its timeout.
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
