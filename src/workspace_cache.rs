//! Workspaces and the platform as the hot path sees them: in memory, and fresh.
//!
//! Invariants: an entry is served without the database only while the change log says that nothing happened to it, and
//! was read a few seconds ago; a change made by this process makes it stale at once. Entries never go backwards within
//! one history of the database. One load at a time for each entry, a bounded number in all. If the database does not
//! answer, an entry is served as *degraded* for a while, then no more. Workspaces never seen are entries too. The
//! log has one line when degraded service begins, and one when it ends.
//!
//! `follow` reads the change log, `epochs` keeps for how long what was read counts, `slot` is one entry.
//!
//! Not here: telling anybody else what changed.

mod epochs;
mod follow;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::{
    domain::{
        clock::Clock,
        error::{Error, Reason},
        names::{Scope, WorkspaceId},
        workspace::{Platform, Workspace},
    },
    store::Store,
    telemetry::metrics::{self, Lookup},
};
use epochs::Epochs;
pub use epochs::History;
pub use follow::Failing;
use follow::Followed;
use slot::Slot;

/// How old an entry may be at the most and still be served while the database does not answer.
const GRACE: Duration = Duration::from_secs(35);
/// How many loads run at once.
const LOADS: usize = 32;
/// The log line for a new history of the database.
const NOT_THE_SAME: &str = "the database's change log does not continue what was seen of it: it was restored to an \
                            earlier point, another server took over, or this process was away for too long; \
                            everything is read again";

/// The entries of this process.
#[derive(Debug)]
pub struct WorkspaceCache {
    shared: Arc<Shared>,
    workspaces: Cache<WorkspaceId, Arc<Slot<Workspace>>>,
    platform: Arc<Slot<Platform>>,
    /// One look at the log at a time.
    followed: tokio::sync::Mutex<Followed>,
}

/// What every load needs.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    clock: Clock,
    epochs: Epochs,
    /// How old an entry may be and still be served while the database does not answer.
    grace: Duration,
    loads: Semaphore,
    degraded: AtomicBool,
}

/// What was known, and since when.
#[derive(Clone, Debug)]
pub struct View<T> {
    /// The entry.
    pub entry: Arc<T>,
    /// Since when it is known to be good, on the clock's monotonic reading: the beginning of the load behind it, or of
    /// a later poll that saw all changes.
    pub validated_at: Duration,
    /// The database did not answer, and the entry is older than it should be.
    pub degraded: bool,
}

impl WorkspaceCache {
    /// An empty directory that keeps this many workspaces at the most: the ones in use, by and large. While the database
    /// does not answer, entries are served for `GRACE`, and never for longer than a lease lasts.
    pub fn new(store: Arc<Store>, clock: Clock, lease: Duration, workspaces: usize) -> Self {
        Self {
            shared: Arc::new(Shared::new(store, clock, GRACE.min(lease))),
            workspaces: Cache::new(workspaces),
            platform: Arc::default(),
            followed: tokio::sync::Mutex::default(),
        }
    }

    /// A workspace.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<View<Workspace>, Error> {
        let slot = self.slot(id);
        if let Some(view) = slot.fresh(&self.shared) {
            metrics::looked_up(Lookup::Hit);
            return Ok(view);
        }
        let id = id.clone();
        let load = move |store: Arc<Store>| {
            let id = id.clone();
            async move { store.workspace(&id).await }
        };
        // In a box, so that the many calls that need no load do not carry the room for one.
        let renewed =
            Box::pin(slot.renewed(&self.shared, load, |workspace| workspace.revision)).await;
        metrics::looked_up(lookup(&renewed));
        renewed
    }

    /// The platform.
    pub async fn platform(&self) -> Result<View<Platform>, Error> {
        if let Some(view) = self.platform.fresh(&self.shared) {
            metrics::looked_up(Lookup::Hit);
            return Ok(view);
        }
        let load = |store: Arc<Store>| async move { store.platform().await };
        let renewed = Box::pin(
            self.platform
                .renewed(&self.shared, load, |platform| platform.revision),
        )
        .await;
        metrics::looked_up(lookup(&renewed));
        renewed
    }

    /// How long ago the last good look at the change log began; `None`: there was none yet. No entry is known to be
    /// younger than that.
    pub fn freshness_lag(&self) -> Option<Duration> {
        self.shared
            .epochs
            .last_poll()
            .map(|began| self.shared.age(began))
    }

    /// How many workspaces are in memory.
    pub fn entries(&self) -> usize {
        self.workspaces.len()
    }

    /// How old an entry may be and still be served while the database does not answer.
    pub fn grace(&self) -> Duration {
        self.shared.grace
    }

    /// This process is about to commit a change in the returned history. Creates the entry, because the change log may
    /// report the change before the commit returns.
    pub fn committing(&self, scope: &Scope) -> History {
        if let Scope::Workspace(id) = scope {
            self.slot(id);
        }
        self.shared.epochs.now().history
    }

    /// This process committed `revision` in this history: an older entry is not served again.
    pub fn committed(&self, scope: &Scope, revision: u64, history: History) {
        match scope {
            Scope::Platform => self.platform.committed(&self.shared, revision, history),
            Scope::Workspace(id) => {
                if let Some(slot) = self.workspaces.get(id) {
                    slot.committed(&self.shared, revision, history);
                }
            }
        }
    }

    /// The change log contains `revision`: an older entry is not served again.
    fn logged(&self, scope: &Scope, revision: u64) {
        match scope {
            Scope::Platform => self.platform.logged(&self.shared, revision),
            Scope::Workspace(id) => {
                if let Some(slot) = self.workspaces.get(id) {
                    slot.logged(&self.shared, revision);
                }
            }
        }
    }

    fn slot(&self, id: &WorkspaceId) -> Arc<Slot<Workspace>> {
        match self.workspaces.get(id) {
            Some(slot) => slot,
            None => self
                .workspaces
                .get_or_insert_with(id, || Ok::<_, std::convert::Infallible>(Arc::default()))
                .unwrap_or_else(|never| match never {}),
        }
    }

    /// A commit failed, which may have happened all the same: the entry is only served while the database is away.
    pub fn suspect(&self, scope: &Scope) {
        match scope {
            Scope::Platform => self.platform.suspect(),
            Scope::Workspace(id) => {
                if let Some(slot) = self.workspaces.get(id) {
                    slot.suspect();
                }
            }
        }
    }
}

/// How something was found that was not fresh in memory.
fn lookup<T>(renewed: &Result<View<T>, Error>) -> Lookup {
    match renewed {
        Ok(view) if view.degraded => Lookup::Degraded,
        Ok(_) => Lookup::Load,
        Err(_) => Lookup::Failed,
    }
}

impl Shared {
    fn new(store: Arc<Store>, clock: Clock, grace: Duration) -> Self {
        Self {
            store,
            clock,
            epochs: Epochs::default(),
            grace,
            loads: Semaphore::new(LOADS),
            degraded: AtomicBool::new(false),
        }
    }

    fn age(&self, since: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(since)
    }

    /// Logs once when the database stops answering, and once when it answers again.
    fn log_outage(&self, failure: Option<&Error>) {
        let outage = failure.filter(|error| error.reason() == Reason::StoreUnavailable);
        let was = self.degraded.swap(outage.is_some(), Ordering::Relaxed);
        match (was, outage) {
            (false, Some(error)) => {
                tracing::warn!(
                    ?error,
                    "the database does not answer; what is known is served as degraded"
                );
            }
            (true, None) => tracing::info!("the database answers again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}
