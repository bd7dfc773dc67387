//! One entry: what is known, how old it is, and the one load that renews it.
//!
//! Invariants: the age counts from when the load *began*. A load that shows a lower revision than one already seen is
//! discarded. While a load runs everybody else waits for it, and after one that failed nobody asks the database again
//! for `PAUSE`: a sick database is not besieged, and those who waited do not wait once more each. A load has a limit.
//!
//! Absent: which entries there are, and when one is dropped (the parent module).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Directory, View};
use crate::domain::error::{Error, Reason};

/// How old an entry may be and still be served without asking the database.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How old an entry may be and still be served while the database does not answer.
const GRACE: Duration = Duration::from_secs(35);
/// How long a load may take, waiting for its turn included.
const LOAD_LIMIT: Duration = Duration::from_secs(2);
/// How long the database is left alone after a load that failed.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Slot<T> {
    known: Mutex<Known<T>>,
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    /// The highest revision seen; nothing lower is served.
    floor: u64,
    /// The entry, and when its load began.
    loaded: Option<(Arc<T>, Duration)>,
    /// The entry may be old, whatever its age.
    suspect: bool,
    failed_at: Option<Duration>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let nothing = Known { floor: 0, loaded: None, suspect: false, failed_at: None };
        Self { known: Mutex::new(nothing), loading: tokio::sync::Mutex::default() }
    }
}

impl<T> Slot<T> {
    /// The entry: from memory if it is fresh, else loaded, else from memory as degraded while its grace lasts.
    pub(super) async fn view<L>(
        &self,
        directory: &Directory,
        load: impl Fn() -> L,
        revision: impl Fn(&T) -> u64,
    ) -> Result<View<T>, Error>
    where
        L: Future<Output = Result<T, Error>>,
    {
        if let Some(view) = self.fresh(directory) {
            return Ok(view);
        }
        let _one = self.loading.lock().await;
        if let Some(view) = self.fresh(directory) {
            return Ok(view);
        }
        let failed = match self.failed_just_now(directory) {
            true => Error::new(Reason::StoreUnavailable, "the database did not answer just now; try again")
                .retry_after(Duration::from_secs(1)),
            false => match tokio::time::timeout(LOAD_LIMIT, self.renew(directory, load, revision)).await {
                Ok(Ok(view)) => {
                    directory.answered();
                    return Ok(view);
                }
                Ok(Err(error)) if error.reason() != Reason::StoreUnavailable => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => {
                    Error::new(Reason::StoreUnavailable, "the database did not answer in time; try again")
                        .retry_after(Duration::from_secs(1))
                        .caused_by(format!("a load took longer than {LOAD_LIMIT:?}"))
                }
            },
        };
        if !self.failed_just_now(directory) {
            self.known().failed_at = Some(directory.clock.elapsed());
        }
        match self.degraded(directory) {
            Some(view) => {
                directory.did_not_answer(&failed);
                Ok(view)
            }
            None => Err(failed),
        }
    }

    async fn renew<L>(
        &self,
        directory: &Directory,
        load: impl Fn() -> L,
        revision: impl Fn(&T) -> u64,
    ) -> Result<View<T>, Error>
    where
        L: Future<Output = Result<T, Error>>,
    {
        let _bounded = directory.loads.acquire().await.map_err(Error::internal)?;
        // A change may commit while a load runs; its result is then older than what was promised, and is read again.
        for _ in 0..3 {
            let began = directory.clock.elapsed();
            let entry = Arc::new(load().await?);
            let revision = revision(&entry);
            let mut known = self.known();
            if revision >= known.floor {
                let loaded = Some((Arc::clone(&entry), began));
                *known = Known { floor: revision, loaded, suspect: false, failed_at: None };
                return Ok(View { entry, validated_at: began, degraded: false });
            }
        }
        Err(Error::new(Reason::StoreUnavailable, "the database shows an older state than it did; try again")
            .caused_by("a load showed a lower revision than one already seen"))
    }

    /// This process committed `revision`: what is known is not served again.
    pub(super) fn invalidate(&self, revision: u64) {
        let mut known = self.known();
        known.floor = known.floor.max(revision);
        known.loaded = None;
    }

    /// Something may have changed: what is known is only served while the database does not answer.
    pub(super) fn suspect(&self) {
        self.known().suspect = true;
    }

    fn fresh(&self, directory: &Directory) -> Option<View<T>> {
        let known = self.known();
        if known.suspect { None } else { known.view(directory, FRESH_FOR, false) }
    }

    fn degraded(&self, directory: &Directory) -> Option<View<T>> {
        self.known().view(directory, GRACE, true)
    }

    fn failed_just_now(&self, directory: &Directory) -> bool {
        let failed_at = self.known().failed_at;
        failed_at.is_some_and(|at| directory.clock.elapsed().saturating_sub(at) < PAUSE)
    }

    // No code panics while it holds the lock, so a poisoned one still holds a good entry.
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Known<T> {
    fn view(&self, directory: &Directory, age: Duration, degraded: bool) -> Option<View<T>> {
        let (entry, validated_at) = self.loaded.as_ref()?;
        let young = directory.clock.elapsed().saturating_sub(*validated_at) <= age;
        young.then(|| View { entry: Arc::clone(entry), validated_at: *validated_at, degraded })
    }
}
