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
        error::Error,
        names::{Scope, WorkspaceId},
        workspace::{Platform, Workspace},
    },
    store::Store,
};
use slot::Slot;

/// How many workspaces are held at the most.
const CAPACITY: usize = 100_000;
/// How many loads run at once.
const LOADS: usize = 32;

/// The entries of this process.
#[derive(Debug)]
pub struct Directory {
    store: Arc<Store>,
    clock: Clock,
    workspaces: Cache<WorkspaceId, Arc<Slot<Workspace>>>,
    platform: Slot<Platform>,
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
    /// An empty directory.
    pub fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            workspaces: Cache::new(CAPACITY),
            platform: Slot::default(),
            loads: Semaphore::new(LOADS),
            degraded: AtomicBool::new(false),
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
        slot.view(self, || self.store.workspace(id), |workspace| workspace.revision).await
    }

    /// The platform.
    pub async fn platform(&self) -> Result<View<Platform>, Error> {
        self.platform.view(self, || self.store.platform(), |platform| platform.revision).await
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

    fn did_not_answer(&self, error: &Error) {
        if !self.degraded.swap(true, Ordering::Relaxed) {
            tracing::warn!(?error, "the database does not answer; serving what is known, as degraded");
        }
    }

    fn answered(&self) {
        if self.degraded.swap(false, Ordering::Relaxed) {
            tracing::info!("the database answers again");
        }
    }
}
