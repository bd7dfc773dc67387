//! Workspaces and the platform as the hot path sees them: in memory, and fresh.
//!
//! Invariants: an entry is served without the database for a few seconds only; a change made by this process makes it
//! stale at once. Entries never go backwards. One load at a time for each entry, a bounded number in all. If the
//! database does not answer, an entry is served as *degraded* for a while, then no more. Workspaces never seen are
//! entries too. The operator is told once when degraded service begins, and once when it ends.
//!
//! Absent: what other replicas change. This form serves one process, which is the only writer of its database.

mod slot;

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
};
use slot::Slot;

/// How many workspaces are held at the most.
const CAPACITY: usize = 100_000;
/// How old an entry may be at the most and still be served while the database does not answer.
const GRACE: Duration = Duration::from_secs(35);
/// How many loads run at once.
const LOADS: usize = 32;

/// The entries of this process.
#[derive(Debug)]
pub struct Directory {
    shared: Arc<Shared>,
    workspaces: Cache<WorkspaceId, Arc<Slot<Workspace>>>,
    platform: Arc<Slot<Platform>>,
}

/// What every load needs.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    clock: Clock,
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
    /// When the load behind it began, on the clock's monotonic reading.
    pub validated_at: Duration,
    /// The database did not answer, and the entry is older than it should be.
    pub degraded: bool,
}

impl Directory {
    /// An empty directory. While the database does not answer, entries are served for `GRACE`, and never for longer
    /// than a lease lasts.
    pub fn new(store: Arc<Store>, clock: Clock, lease: Duration) -> Self {
        Self {
            shared: Arc::new(Shared::new(store, clock, GRACE.min(lease))),
            workspaces: Cache::new(CAPACITY),
            platform: Arc::default(),
        }
    }

    /// A workspace.
    pub async fn workspace(&self, id: &WorkspaceId) -> Result<View<Workspace>, Error> {
        let slot = match self.workspaces.get(id) {
            Some(slot) => slot,
            None => self
                .workspaces
                .get_or_insert_with(id, || Ok::<_, std::convert::Infallible>(Arc::default()))
                .unwrap_or_else(|never| match never {}),
        };
        if let Some(view) = slot.fresh(&self.shared) {
            return Ok(view);
        }
        let id = id.clone();
        let load = move |store: Arc<Store>| {
            let id = id.clone();
            async move { store.workspace(&id).await }
        };
        slot.renewed(&self.shared, load, |workspace| workspace.revision).await
    }

    /// The platform.
    pub async fn platform(&self) -> Result<View<Platform>, Error> {
        if let Some(view) = self.platform.fresh(&self.shared) {
            return Ok(view);
        }
        let load = |store: Arc<Store>| async move { store.platform().await };
        self.platform.renewed(&self.shared, load, |platform| platform.revision).await
    }

    /// This process committed `revision`: the entry is not served again.
    pub fn invalidate(&self, scope: &Scope, revision: u64) {
        match scope {
            Scope::Platform => self.platform.invalidate(revision),
            Scope::Workspace(id) => {
                if let Some(slot) = self.workspaces.get(id) {
                    slot.invalidate(revision);
                }
            }
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

impl Shared {
    fn new(store: Arc<Store>, clock: Clock, grace: Duration) -> Self {
        Self { store, clock, grace, loads: Semaphore::new(LOADS), degraded: AtomicBool::new(false) }
    }

    /// Tells the operator once when the database stops answering, and once when it answers again.
    fn tell(&self, failure: Option<&Error>) {
        let outage = failure.filter(|error| error.reason() == Reason::StoreUnavailable);
        let was = self.degraded.swap(outage.is_some(), Ordering::Relaxed);
        match (was, outage) {
            (false, Some(error)) => {
                tracing::warn!(?error, "the database does not answer; what is known is served as degraded");
            }
            (true, None) => tracing::info!("the database answers again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}
