//! One entry: what is known, how old it is, and the one load that renews it.
//!
//! Invariants: the age counts from when the load *began*. A load that shows a lower revision than one already seen is
//! discarded. One load runs at a time, in a task of its own with a limit: a caller who is gone does not end it, and
//! those who wait share its outcome. While the database does not answer, an entry within its grace is served at once,
//! and the loads that probe for recovery pause in between: a sick database is not besieged, and nobody waits for it.
//!
//! Absent: which entries there are, and when one is dropped (the parent module).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{Shared, View};
use crate::{
    domain::error::{Error, Reason},
    store::Store,
};

/// How old an entry may be and still be served without asking the database.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How long a load may take, waiting for its turn included.
const LOAD_LIMIT: Duration = Duration::from_secs(2);
/// How long the database is left alone after a load that failed.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Slot<T>(Mutex<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    /// The highest revision seen; nothing lower is served.
    floor: u64,
    /// The entry, and when its load began.
    loaded: Option<(Arc<T>, Duration)>,
    /// Counts the doubts about the entry, and those that a later load has settled.
    doubts: u64,
    settled: u64,
    /// Why the last load failed, and when.
    failure: Option<(Duration, Error)>,
    /// The load that runs; closed when it ends.
    flight: Option<watch::Receiver<()>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { floor: 0, loaded: None, doubts: 0, settled: 0, failure: None, flight: None }))
    }
}

impl<T: Send + Sync + 'static> Slot<T> {
    /// The entry, if it may be served without asking the database.
    pub(super) fn fresh(&self, shared: &Shared) -> Option<View<T>> {
        let known = self.known();
        if known.doubts == known.settled { known.view(shared, FRESH_FOR, false) } else { None }
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
        let flight = self.take_off(shared, load, revision);
        if let Some(view) = self.degraded(shared) {
            return Ok(view);
        }
        if let Some(mut flight) = flight {
            // Nothing is ever sent: the end of the load closes it.
            let _ended = flight.changed().await;
        }
        let view = self.fresh(shared).or_else(|| self.degraded(shared));
        view.ok_or_else(|| match &self.known().failure {
            Some((_, error)) => error.repeated(),
            // The entry was doubted again while it was loaded.
            None => Error::new(Reason::StoreUnavailable, "the workspace is being changed; try again")
                .retry_after(Duration::from_secs(1)),
        })
    }

    /// The load that runs, started if none does; `None` while the database is left alone.
    fn take_off<L>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        load: impl Fn(Arc<Store>) -> L + Send + Sync + 'static,
        revision: fn(&T) -> u64,
    ) -> Option<watch::Receiver<()>>
    where
        L: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut known = self.known();
        if let Some(flight) = &known.flight {
            return Some(flight.clone());
        }
        let paused = |(at, _): &(Duration, Error)| shared.clock.elapsed().saturating_sub(*at) < PAUSE;
        if known.failure.as_ref().is_some_and(paused) {
            return None;
        }
        let (running, flight) = watch::channel(());
        known.flight = Some(flight.clone());
        let (slot, shared) = (Arc::clone(self), Arc::clone(shared));
        tokio::spawn(async move {
            let loaded = tokio::time::timeout(LOAD_LIMIT, slot.load(&shared, load, revision)).await;
            let failure = loaded.unwrap_or_else(|_| Err(too_slow())).err();
            shared.tell(failure.as_ref());
            let mut known = slot.known();
            known.failure = failure.map(|error| (shared.clock.elapsed(), error));
            known.flight = None;
            drop(running);
        });
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
        // A change may commit while a load runs; its result is then older than what was promised, and is read again.
        for _ in 0..3 {
            let (began, doubts) = (shared.clock.elapsed(), self.known().doubts);
            let entry = Arc::new(load(Arc::clone(&shared.store)).await?);
            let revision = revision(&entry);
            let mut known = self.known();
            if revision >= known.floor {
                known.floor = revision;
                known.loaded = Some((entry, began));
                known.settled = doubts;
                if known.doubts == doubts {
                    return Ok(());
                }
            }
        }
        Err(Error::new(Reason::StoreUnavailable, "the database shows an older state than it did; try again")
            .retry_after(Duration::from_secs(1)))
    }

    /// This process committed `revision`: what is known is not served again.
    pub(super) fn invalidate(&self, revision: u64) {
        let mut known = self.known();
        known.floor = known.floor.max(revision);
        known.loaded = None;
    }

    /// Something may have changed: what is known is only served while the database does not answer.
    pub(super) fn suspect(&self) {
        let mut known = self.known();
        known.doubts = known.doubts.saturating_add(1);
    }

    /// The entry, if the last load failed as in an outage and the grace lasts.
    fn degraded(&self, shared: &Shared) -> Option<View<T>> {
        let known = self.known();
        let (_, error) = known.failure.as_ref()?;
        if error.reason() == Reason::StoreUnavailable { known.view(shared, shared.grace, true) } else { None }
    }

    // No code panics while it holds the lock, so a poisoned one still holds a good entry.
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Known<T> {
    fn view(&self, shared: &Shared, age: Duration, degraded: bool) -> Option<View<T>> {
        let (entry, validated_at) = self.loaded.as_ref()?;
        let young = shared.clock.elapsed().saturating_sub(*validated_at) <= age;
        young.then(|| View { entry: Arc::clone(entry), validated_at: *validated_at, degraded })
    }
}

fn too_slow() -> Error {
    Error::new(Reason::StoreUnavailable, "the database did not answer in time; try again")
        .retry_after(Duration::from_secs(1))
        .caused_by(format!("a load took longer than {LOAD_LIMIT:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{
        domain::clock::Clock,
        store::{Duty, Settings},
    };

    const GRACE: Duration = Duration::from_secs(35);

    async fn shared() -> (tempfile::TempDir, Arc<Shared>) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("byokd.db").display());
        let store = Arc::new(Store::open(&Settings::at(&url), Duty::Serve).await.unwrap());
        let clock = Clock::manual(time::OffsetDateTime::UNIX_EPOCH);
        (folder, Arc::new(Shared::new(store, clock, GRACE)))
    }

    /// Every load answers the next number as entry and revision.
    fn counting(
        counter: &Arc<AtomicU64>,
    ) -> impl Fn(Arc<Store>) -> std::future::Ready<Result<u64, Error>> + use<> {
        let counter = Arc::clone(counter);
        move |_| std::future::ready(Ok(counter.fetch_add(1, Ordering::SeqCst)))
    }

    fn hanging(_: Arc<Store>) -> std::future::Pending<Result<u64, Error>> {
        std::future::pending()
    }

    #[tokio::test]
    async fn a_caller_who_is_gone_does_not_end_a_load_and_others_share_it() {
        let (_folder, shared) = shared().await;
        let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let (gated, counted) = (Arc::clone(&gate), Arc::clone(&counter));
        let load = move |_| {
            let (gate, counter) = (Arc::clone(&gated), Arc::clone(&counted));
            async move {
                let _open = gate.acquire().await.unwrap();
                Ok(counter.fetch_add(1, Ordering::SeqCst))
            }
        };
        let gone = slot.renewed(&shared, load, |entry| *entry);
        // Polled, then dropped: the load was started and goes on.
        assert!(tokio::time::timeout(Duration::ZERO, gone).await.is_err());
        gate.add_permits(1);
        let view = slot.renewed(&shared, counting(&counter), |entry| *entry).await.unwrap();
        assert_eq!((*view.entry, counter.load(Ordering::SeqCst)), (0, 1));
    }

    #[tokio::test]
    async fn a_load_that_hangs_is_cut_off_and_what_is_known_is_served_without_waiting() {
        let (_folder, shared) = shared().await;
        let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
        slot.renewed(&shared, counting(&counter), |entry| *entry).await.unwrap();
        shared.clock.advance(Duration::from_secs(6));
        tokio::time::pause();
        // The first one finds out; paused time runs on by itself while everybody waits.
        let view = slot.renewed(&shared, hanging, |entry| *entry).await.unwrap();
        assert!(view.degraded);
        // From now on nobody waits, whether or not a load probes in the background.
        for pass in [0, 400, 600] {
            shared.clock.advance(Duration::from_millis(pass));
            let before = tokio::time::Instant::now();
            assert!(slot.renewed(&shared, hanging, |entry| *entry).await.unwrap().degraded);
            assert_eq!(tokio::time::Instant::now(), before);
        }
        shared.clock.advance(GRACE);
        let refused = slot.renewed(&shared, hanging, |entry| *entry).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::StoreUnavailable);
    }

    #[tokio::test]
    async fn an_entry_that_is_doubted_while_it_is_loaded_is_loaded_again() {
        let (_folder, shared) = shared().await;
        let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
        let (doubted, counted) = (Arc::clone(&slot), Arc::clone(&counter));
        let load = move |_| {
            let entry = counted.fetch_add(1, Ordering::SeqCst);
            if entry == 0 {
                doubted.suspect();
            }
            std::future::ready(Ok(entry))
        };
        let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
        assert_eq!((*view.entry, view.degraded), (1, false));
        slot.suspect();
        assert!(slot.fresh(&shared).is_none());
        let view = slot.renewed(&shared, counting(&counter), |entry| *entry).await.unwrap();
        assert_eq!(*view.entry, 2);
    }
}
