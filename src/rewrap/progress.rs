//! A run of a rewrap and its progress, which is saved and reported.

use super::retry::retry;
use crate::{
    domain::error::Error,
    keyring::Keyring,
    store::{RewrapRun, Store},
};

/// The progress of a rewrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewrapProgress {
    /// The data keys, or buckets of records, that were looked at.
    pub done: u64,
    /// The data keys or buckets in all.
    pub total: u64,
    /// The data keys or records that were moved.
    pub moved: u64,
}

/// A claimed run.
pub(super) struct ClaimedRun<'a, F> {
    pub(super) store: &'a Store,
    pub(super) keyring: &'a Keyring,
    pub(super) run: RewrapRun,
    pub(super) report: F,
}

impl<F: FnMut(RewrapProgress)> ClaimedRun<'_, F> {
    pub(super) async fn save(&self) -> Result<(), Error> {
        retry(async || self.store.save_rewrap(&self.run, false).await).await
    }

    pub(super) fn report(&mut self, done: u64, total: u64) {
        (self.report)(RewrapProgress {
            done,
            total,
            moved: self.run.moved,
        });
    }

    pub(super) fn add_moved(&mut self, moved: u64) {
        self.run.moved = self.run.moved.saturating_add(moved);
    }

    pub(super) fn add_refused(&mut self) {
        self.run.refused = self.run.refused.saturating_add(1);
    }
}
