//! One entry: what is known, how old it is, and the one load that renews it.
//!
//! Invariants: an entry is as old as the later of the beginning of its load and that of the last good poll in the load's
//! own epoch; in another epoch, or once its load is too old, it is read again. A load that shows a lower revision than
//! one already seen in this history of the database, or that ends in another era than it began in, is discarded. One
//! load runs at a time, in a task of its own with a limit: a caller who is gone does not end it, and those who wait
//! share its outcome. While the database does not answer, an entry within its grace is served at once, and the loads
//! that probe for recovery pause in between: a failing database gets few loads, and no caller waits for it.
//!
//! Not here: which entries there are, and when one is dropped (the parent module).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tracing::Instrument as _;

use super::{
    NOT_THE_SAME, Shared, View,
    epochs::{Era, History},
};
use crate::{
    domain::error::{Error, Reason},
    store::Store,
};

/// How old an entry may be and still be served without asking the database.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How long ago an entry may have been loaded, however often polls found it unchanged: what an administrator edits by
/// hand is in no log.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// How long a load may take, waiting for its turn included.
const LOAD_LIMIT: Duration = Duration::from_secs(2);
/// How long the database is left alone after a load that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a failed load counts as an outage. During that time no caller waits for the next load.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// How often a result that was outdated while it came is read again.
const READS: u32 = 3;

#[derive(Debug)]
pub(super) struct Slot<T>(Mutex<Known<T>>);

/// What most entries do not have is in a box: there may be a million of them.
#[derive(Debug)]
struct Known<T> {
    /// The highest revision seen in this history; nothing lower is loaded.
    floor: u64,
    history: History,
    /// The highest revision in the change log in this history.
    logged: u64,
    /// The last commit of this process that the change log must still show, and its time.
    owed: Option<Box<(u64, Duration)>>,
    loaded: Option<Loaded<T>>,
    /// Counts the doubts about the entry, and those that a later load has settled.
    doubts: u64,
    settled: u64,
    /// Why the last load failed, and when.
    failure: Option<Box<(Duration, Error)>>,
    /// The load that runs; closed when it ends.
    flight: Option<watch::Receiver<()>>,
}

/// An entry as it was read.
#[derive(Debug)]
struct Loaded<T> {
    entry: Arc<T>,
    revision: u64,
    /// When the load began, and in which era it began and ended.
    began: Duration,
    era: Era,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            floor: 0,
            history: History::default(),
            logged: 0,
            owed: None,
            loaded: None,
            doubts: 0,
            settled: 0,
            failure: None,
            flight: None,
        }))
    }
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// The entry, if it may be served without asking the database.
    pub(super) fn fresh(&self, shared: &Shared) -> Option<View<T>> {
        let known = self.known();
        let loaded = known.loaded.as_ref()?;
        let (now, validated_at) = loaded.validated(shared);
        let time = shared.clock.elapsed();
        let old = time.saturating_sub(validated_at) > FRESH_FOR
            || time.saturating_sub(loaded.began) > MAX_AGE;
        let doubted =
            known.doubts != known.settled || loaded.era != now || known.lost_a_commit(shared);
        (!old && !doubted).then(|| loaded.view(validated_at, false))
    }

    /// The entry after a load, or what is known of it while the database does not answer.
    pub(super) async fn renewed<L>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        load: impl Fn(Arc<Store>) -> L + Send + Sync + 'static,
        revision: fn(&T) -> u64,
    ) -> Result<View<T>, Error>
    where
        L: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let load = Arc::new(load);
        for _ in 0..READS {
            let flight = self.take_off(shared, Arc::clone(&load), revision);
            if let Some(view) = self.degraded(shared) {
                return Ok(view);
            }
            if let Some(mut flight) = flight {
                // Nothing is ever sent: the end of the load closes it.
                let _ended = flight.changed().await;
            }
            if let Some(view) = self.fresh(shared).or_else(|| self.degraded(shared)) {
                return Ok(view);
            }
            if let Some((_, error)) = self.known().failure.as_deref() {
                return Err(error.repeated());
            }
            // What was loaded is outdated already.
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "the workspace is being changed; try again",
        )
        .retry_after(Duration::from_secs(1)))
    }

    /// The load that runs, started if none does; `None` while the database is left alone.
    fn take_off<L>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        load: Arc<impl Fn(Arc<Store>) -> L + Send + Sync + 'static>,
        revision: fn(&T) -> u64,
    ) -> Option<watch::Receiver<()>>
    where
        L: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut known = self.known();
        if let Some(flight) = &known.flight {
            return Some(flight.clone());
        }
        known.enter(shared.epochs.now().history);
        if known
            .failure
            .as_ref()
            .is_some_and(|failure| shared.age(failure.0) < PAUSE)
        {
            return None;
        }
        let (running, flight) = watch::channel(());
        known.flight = Some(flight.clone());
        let (slot, shared) = (Arc::clone(self), Arc::clone(shared));
        let task = async move {
            let loaded =
                tokio::time::timeout(LOAD_LIMIT, slot.load(&shared, &*load, revision)).await;
            let failure = loaded.unwrap_or_else(|_| Err(too_slow())).err();
            shared.log_outage(failure.as_ref());
            let mut known = slot.known();
            if failure
                .as_ref()
                .is_some_and(|error| error.reason() != Reason::StoreUnavailable)
            {
                // The database answered, and what it said is not what is known.
                known.loaded = None;
            }
            known.failure = failure.map(|error| Box::new((shared.clock.elapsed(), error)));
            known.flight = None;
            drop(running);
        };
        // The load belongs to the trace of the call that began it.
        tokio::spawn(task.in_current_span());
        Some(flight)
    }

    async fn load<L>(
        &self,
        shared: &Shared,
        load: impl Fn(Arc<Store>) -> L,
        revision: fn(&T) -> u64,
    ) -> Result<(), Error>
    where
        L: Future<Output = Result<T, Error>>,
    {
        let _bounded = shared.loads.acquire().await.map_err(Error::internal)?;
        // A change may commit while a load runs, or the database turn out to be another one; the result is then older
        // than what was promised, or from elsewhere, and is read again.
        for _ in 0..READS {
            let (began, era, doubts) = (
                shared.clock.elapsed(),
                shared.epochs.now(),
                self.known().doubts,
            );
            let entry = Arc::new(load(Arc::clone(&shared.store)).await?);
            let revision = revision(&entry);
            let mut known = self.known();
            let now = shared.epochs.now();
            known.enter(now.history);
            if known.lost_a_commit(shared) {
                shared.epochs.next_history();
                tracing::warn!("{NOT_THE_SAME}");
            } else if now == era && revision >= known.floor {
                known.floor = revision;
                known.loaded = Some(Loaded {
                    entry,
                    revision,
                    began,
                    era,
                });
                known.settled = doubts;
                if known.doubts == doubts {
                    return Ok(());
                }
            }
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "the database shows an older state than it did, or is changing hands; try again",
        )
        .retry_after(Duration::from_secs(1)))
    }

    /// This process committed `revision` in this history of the database: what is older is not served again.
    pub(super) fn committed(&self, shared: &Shared, revision: u64, history: History) {
        let mut known = self.known();
        known.outdate(shared, revision, history);
        if history == known.history && known.logged < revision {
            known.owed = Some(Box::new((revision, shared.clock.elapsed())));
        }
    }

    /// The change log contains `revision`: an older entry is not served again.
    pub(super) fn logged(&self, shared: &Shared, revision: u64) {
        let mut known = self.known();
        known.outdate(shared, revision, shared.epochs.now().history);
        known.logged = known.logged.max(revision);
        known.owed.take_if(|owed| owed.0 <= revision);
    }

    /// Something may have changed: what is known is only served while the database does not answer.
    pub(super) fn suspect(&self) {
        let mut known = self.known();
        known.doubts = known.doubts.saturating_add(1);
    }

    /// The entry, if the last load failed as in an outage, not long ago, and the grace lasts.
    fn degraded(&self, shared: &Shared) -> Option<View<T>> {
        let known = self.known();
        let (at, error) = known.failure.as_deref()?;
        let loaded = known.loaded.as_ref()?;
        let (_, validated_at) = loaded.validated(shared);
        let outage = error.reason() == Reason::StoreUnavailable && shared.age(*at) <= FAILED_FOR;
        (outage && shared.age(validated_at) <= shared.grace)
            .then(|| loaded.view(validated_at, true))
    }

    // No code panics while it holds the lock, so a poisoned one still holds a good entry.
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Known<T> {
    /// A floor counts in its own history only; and that the database failed before says nothing in the next one.
    fn enter(&mut self, history: History) {
        if self.history != history {
            self.history = history;
            self.floor = 0;
            self.logged = 0;
            self.owed = None;
            self.failure = None;
        }
    }

    /// What is older than this revision is not served again.
    fn outdate(&mut self, shared: &Shared, revision: u64, history: History) {
        self.enter(shared.epochs.now().history);
        if history == self.history {
            self.floor = self.floor.max(revision);
        } else {
            // Its number says nothing here. The load that runs may have missed it, so it is repeated.
            self.doubts = self.doubts.saturating_add(1);
        }
        let seen =
            |loaded: &Loaded<T>| loaded.era.history == history && loaded.revision >= revision;
        if !self.loaded.as_ref().is_some_and(seen) {
            self.loaded = None;
        }
    }

    /// Whether a commit of this process is lost: the log was read to its end since and does not contain it.
    fn lost_a_commit(&self, shared: &Shared) -> bool {
        let read_since = |since| {
            let (_, polled) = shared.epochs.now_and_poll_of(shared.epochs.now());
            polled.is_some_and(|polled| polled > since)
        };
        self.owed.as_ref().is_some_and(|owed| read_since(owed.1))
    }
}

impl<T> Loaded<T> {
    /// The era that it is, and since when the entry is known to be good: no poll vouches for one that is too old.
    fn validated(&self, shared: &Shared) -> (Era, Duration) {
        let (now, polled) = shared.epochs.now_and_poll_of(self.era);
        let latest = self.began.saturating_add(MAX_AGE);
        (
            now,
            polled.map_or(self.began, |polled| polled.clamp(self.began, latest)),
        )
    }

    fn view(&self, validated_at: Duration, degraded: bool) -> View<T> {
        View {
            entry: Arc::clone(&self.entry),
            validated_at,
            degraded,
        }
    }
}

fn too_slow() -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "the database did not answer in time; try again",
    )
    .retry_after(Duration::from_secs(1))
    .caused_by(format!("a load took longer than {LOAD_LIMIT:?}"))
}

#[cfg(test)]
mod tests;
