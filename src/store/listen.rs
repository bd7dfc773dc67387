//! Hints that the change log has grown, by PostgreSQL's `LISTEN`.
//!
//! Invariants: a hint only makes the next look come sooner; a lost one costs half a second. That hints come through is
//! tried at every connection, and again when it has been quiet for a while: a pooler or a firewall swallows them without
//! a word. The operator is told once when they do not, and once when they do again.
//!
//! Absent: what changed. The log tells.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use sqlx::{
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgListener},
};
use tokio::{sync::Notify, task::AbortHandle};
use uuid::Uuid;

use super::{Pooler, Settings};

/// The channel of every byokd; a change notifies it in its own transaction.
pub(super) const CHANNEL: &str = "byokd_changes";

/// How long connecting, or a hint of our own, may take.
const LIMIT: Duration = Duration::from_secs(2);
/// After how long without a hint we send one ourselves.
const QUIET: Duration = Duration::from_secs(30);
/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_secs(5);

/// Where to listen for changes. Never through a pooler: `LISTEN` would stay in a session that others are given.
pub(super) fn listen_url(settings: &Settings) -> Option<(&'static str, &str)> {
    match (settings.listen_url.as_str(), settings.pooler) {
        ("", Pooler::None) => Some(("database.url", &settings.url)),
        ("", Pooler::Transaction) => None,
        (url, _) => Some(("database.listen_url", url)),
    }
}

/// Hints for whoever follows the log. Ends listening when dropped.
#[derive(Debug, Default)]
pub(super) struct Hints {
    arrived: Arc<Notify>,
    listening: Option<AbortHandle>,
}

impl Hints {
    /// Listens through `options`; `writer` is what changes are made on.
    pub(super) fn listen(options: PgConnectOptions, writer: DatabaseConnection) -> Self {
        let arrived = Arc::<Notify>::default();
        let listener = Listener {
            options,
            writer,
            arrived: Arc::clone(&arrived),
        };
        Self {
            arrived,
            listening: Some(tokio::spawn(listener.run()).abort_handle()),
        }
    }

    /// Resolves when there may be something new in the log; never where no one tells.
    pub(super) async fn next(&self) {
        self.arrived.notified().await;
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

struct Listener {
    options: PgConnectOptions,
    writer: DatabaseConnection,
    arrived: Arc<Notify>,
}

impl Listener {
    async fn run(self) {
        let mut told = false;
        loop {
            let why = match self.connect().await {
                Ok(mut listener) => {
                    if std::mem::take(&mut told) {
                        tracing::info!("NOTIFY comes through again");
                    }
                    // Something may have been missed meanwhile.
                    self.arrived.notify_one();
                    self.pass_on(&mut listener).await
                }
                Err(why) => why,
            };
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    why,
                    "NOTIFY does not come through: other replicas' changes are seen by polling only, within half a \
                     second; database.listen_url must lead to the database itself, not to a pooler"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A listener that has proved to hear.
    async fn connect(&self) -> Result<PgListener, String> {
        let connecting = async {
            let pool = PoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool)
                .await
                .map_err(|error| error.to_string())?;
            listener
                .listen(CHANNEL)
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(listener)
        };
        let mut listener = tokio::time::timeout(LIMIT, connecting)
            .await
            .map_err(|_| format!("no connection within {LIMIT:?}"))??;
        self.hears(&mut listener).await?;
        Ok(listener)
    }

    /// Passes hints on until the connection fails; answers why it did.
    async fn pass_on(&self, listener: &mut PgListener) -> String {
        loop {
            match tokio::time::timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(_))) => self.arrived.notify_one(),
                Ok(Ok(None)) => return "the connection was lost".to_owned(),
                Ok(Err(error)) => return error.to_string(),
                Err(_) => {
                    if let Err(why) = self.hears(listener).await {
                        return why;
                    }
                }
            }
        }
    }

    /// Sends a hint and waits until it arrives.
    async fn hears(&self, listener: &mut PgListener) -> Result<(), String> {
        let word = Uuid::new_v4().to_string();
        // Not prepared: behind a pooler the next statement may meet another session.
        let notify = format!("NOTIFY {CHANNEL}, '{word}'");
        let heard = async {
            self.writer
                .execute_unprepared(&notify)
                .await
                .map_err(|error| error.to_string())?;
            loop {
                let heard = listener.recv().await.map_err(|error| error.to_string())?;
                self.arrived.notify_one();
                if heard.payload() == word {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(LIMIT, heard)
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "a notification of our own did not arrive within {LIMIT:?}"
                ))
            })
    }
}
