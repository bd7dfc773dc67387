//! Hints that the change log has grown, by PostgreSQL's `LISTEN`.
//!
//! Invariants:
//! - A hint only makes the next poll come sooner. A lost hint costs half a second.
//! - Each new connection is tested with a notification, and again after `QUIET` without one, because poolers and
//!   firewalls drop notifications silently.
//! - An outage is logged once, and its end once.
//!
//! Not here: the changes, which are in the change log.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use sqlx::{
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::{sync::Notify, task::JoinSet};
use uuid::Uuid;

/// The channel that every change notifies (`change_log::append`).
const CHANNEL: &str = "byokd_changes";

/// How long connecting, or a test notification, may take.
const LIMIT: Duration = Duration::from_secs(2);
/// After this time without a hint, the connection is tested.
const QUIET: Duration = Duration::from_secs(30);
/// The pause before a reconnect.
const PAUSE: Duration = Duration::from_secs(5);

/// Why hints do not arrive; for the log.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Hints for the task that follows the change log; stops listening when dropped.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    arrived: Arc<Notify>,
    /// Aborts the listener when dropped.
    _listening: JoinSet<()>,
}

impl Hints {
    /// Listens on a connection of its own; sends test notifications through `writers`.
    pub(super) fn listen(options: PgConnectOptions, writers: DatabaseConnection) -> Self {
        let arrived = Arc::<Notify>::default();
        let listener = Listener {
            options,
            writers,
            arrived: Arc::clone(&arrived),
        };
        let mut listening = JoinSet::new();
        listening.spawn(listener.run());
        Self {
            arrived,
            _listening: listening,
        }
    }

    /// Waits for a hint; without a listener, forever.
    pub(crate) async fn next(&self) {
        self.arrived.notified().await;
    }
}

struct Listener {
    options: PgConnectOptions,
    writers: DatabaseConnection,
    arrived: Arc<Notify>,
}

impl Listener {
    async fn run(self) {
        let mut failing = false;
        loop {
            let lost = match self.connect().await {
                Ok(mut listener) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("NOTIFY comes through again");
                    }
                    // Hints may have been lost in the meantime.
                    self.arrived.notify_one();
                    self.forward(&mut listener).await
                }
                Err(cause) => Err(cause),
            };
            if let Err(cause) = lost
                && !std::mem::replace(&mut failing, true)
            {
                tracing::warn!(
                    cause,
                    "NOTIFY does not come through: other replicas' changes are seen by polling only, within half a \
                     second; database.listen_url must lead to the database itself, not to a pooler"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Connects a listener and tests it.
    async fn connect(&self) -> Result<PgListener, Cause> {
        let connecting = async {
            let pool = PoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, Cause>(listener)
        };
        let mut listener = tokio::time::timeout(LIMIT, connecting)
            .await
            .map_err(|_| format!("no connection within {LIMIT:?}"))??;
        self.test(&mut listener).await?;
        Ok(listener)
    }

    /// Forwards hints until the connection is lost.
    async fn forward(&self, listener: &mut PgListener) -> Result<(), Cause> {
        loop {
            match tokio::time::timeout(QUIET, listener.try_recv()).await {
                Ok(received) => {
                    received?.ok_or("the connection was lost")?;
                    self.arrived.notify_one();
                }
                Err(_) => self.test(listener).await?,
            }
        }
    }

    /// Sends a notification and waits until it arrives.
    async fn test(&self, listener: &mut PgListener) -> Result<(), Cause> {
        let payload = Uuid::new_v4().to_string();
        // Not prepared: behind a pooler the next statement may run in another session.
        let notify = format!("NOTIFY {CHANNEL}, '{payload}'");
        let round_trip = async {
            self.writers.execute_unprepared(&notify).await?;
            loop {
                let notification = listener.recv().await?;
                self.arrived.notify_one();
                if notification.payload() == payload {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(LIMIT, round_trip)
            .await
            .map_err(|_| format!("the test notification did not arrive within {LIMIT:?}"))?
    }
}
