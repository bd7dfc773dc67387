//! Workspaces and the platform as the hot path sees them: in memory, and fresh.
//!
//! Invariants: an entry is served without the database for at most `FRESH_FOR` after its load *began*; a change made by
//! this process makes it stale at once. Entries never go backwards: a load that shows a lower revision than one already
//! seen is not served. One load at a time for each entry, a bounded number in all. If the database does not answer, an
//! entry is served as *degraded* until `GRACE` is over, then no more. Workspaces never seen are entries too.
//!
//! Absent: what other replicas change. This form serves one process, which is the only writer of its database.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// How old an entry may be and still be served without asking the database.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How old an entry may be and still be served while the database does not answer.
const GRACE: Duration = Duration::from_secs(35);
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

#[derive(Debug)]
struct Slot<T> {
    known: Mutex<Known<T>>,
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    /// The highest revision seen; nothing lower is served.
    floor: u64,
    loaded: Option<(Arc<T>, Duration)>,
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

    /// Makes an entry stale: this process committed `revision`.
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
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { known: Mutex::new(Known { floor: 0, loaded: None }), loading: tokio::sync::Mutex::default() }
    }
}

impl<T> Slot<T> {
    async fn view<L>(
        &self,
        directory: &Directory,
        load: impl Fn() -> L,
        revision: impl Fn(&T) -> u64,
    ) -> Result<View<T>, Error>
    where
        L: Future<Output = Result<T, Error>>,
    {
        let clock = &directory.clock;
        if let Some(view) = self.served_until(clock, FRESH_FOR, false) {
            return Ok(view);
        }
        let _one = self.loading.lock().await;
        if let Some(view) = self.served_until(clock, FRESH_FOR, false) {
            return Ok(view);
        }
        let _bounded = directory.loads.acquire().await.map_err(Error::internal)?;
        // A change may commit while a load runs; its result is then older than what was promised, and is read again.
        for _ in 0..3 {
            let began = clock.elapsed();
            match load().await {
                Ok(entry) => {
                    let revision = revision(&entry);
                    let entry = Arc::new(entry);
                    let mut known = self.known();
                    if revision >= known.floor {
                        known.floor = revision;
                        known.loaded = Some((Arc::clone(&entry), began));
                        return Ok(View { entry, validated_at: began, degraded: false });
                    }
                }
                Err(error) if error.reason() == Reason::StoreUnavailable => {
                    return self.served_until(clock, GRACE, true).ok_or(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "the database answers with an older state than it did; try again",
        ))
    }

    fn served_until(&self, clock: &Clock, age: Duration, degraded: bool) -> Option<View<T>> {
        let known = self.known();
        let (entry, validated_at) = known.loaded.as_ref()?;
        let fresh = clock.elapsed().saturating_sub(*validated_at) <= age;
        fresh.then(|| View { entry: Arc::clone(entry), validated_at: *validated_at, degraded })
    }

    fn invalidate(&self, revision: u64) {
        let mut known = self.known();
        known.floor = known.floor.max(revision);
        known.loaded = None;
    }

    // No code panics while it holds the lock, so a poisoned one still holds a good entry.
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
