//! One lane for each bucket: of many who want the same, one asks the KMS.
//!
//! Invariants: a KMS call for a bucket's data keys holds its lane. A caller that waited while another one failed at the
//! same shares that failure, so that a thousand callers of a KMS that does not answer are one call. A caller who is
//! gone leaves the lane free.
//!
//! Not here: an order between lanes; who takes several takes them by rising bucket.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Mutex, MutexGuard};

use super::bucket::BUCKETS;
use crate::domain::{envelope::DataKeyId, error::Error};

#[derive(Debug)]
pub(super) struct Lanes(Vec<Lane>);

#[derive(Debug, Default)]
pub(super) struct Lane {
    failures: AtomicU64,
    last: Mutex<Option<(Wanted, Error)>>,
}

/// What was wanted in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Active,
    This(DataKeyId),
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| Lane::default()).collect())
    }

    pub(super) fn of(&self, bucket: u16) -> Result<&Lane, Error> {
        // A damaged row may name any bucket.
        let at = bucket
            .checked_rem(BUCKETS)
            .map(usize::from)
            .unwrap_or_default();
        self.0
            .get(at)
            .ok_or_else(|| Error::internal("a bucket without a lane"))
    }
}

impl Lane {
    /// Does `work` when the lane is free, unless `done` says that it is done already.
    pub(super) async fn run<T>(
        &self,
        wanted: Wanted,
        done: impl FnOnce() -> Option<T>,
        work: Pin<Box<dyn Future<Output = Result<T, Error>> + Send + '_>>,
    ) -> Result<T, Error> {
        let seen = self.failures.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(value) = done() {
            return Ok(value);
        }
        if self.failures.load(Ordering::SeqCst) != seen
            && let Some((what, error)) = &*last
            && *what == wanted
        {
            return Err(error.repeated());
        }
        let result = work.await;
        if let Err(error) = &result {
            *last = Some((wanted, error.repeated()));
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
        result
    }

    /// The lane for the background, which shares nothing.
    pub(super) async fn take(&self) -> MutexGuard<'_, Option<(Wanted, Error)>> {
        self.last.lock().await
    }
}
