//! Calls that a client gave up on, counted for each connection.
//!
//! A call that is given up frees its stream at once, so a limit on streams does not bound how many a client can begin.
//!
//! Absent: calls whose answer was being sent already; they cost what an answered call costs.

use std::{num::NonZeroU32, sync::Arc};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Notify;

/// Counts for one connection.
pub(super) struct Resets {
    allowed: DefaultDirectRateLimiter,
    too_many: Notify,
}

/// A call that has not been answered yet.
pub(super) struct Unanswered {
    resets: Arc<Resets>,
    answered: bool,
}

impl Resets {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { allowed: RateLimiter::direct(Quota::per_second(per_second)), too_many: Notify::new() }
    }

    /// Counts a call if it is dropped before it is answered.
    pub(super) fn watch(self: &Arc<Self>) -> Unanswered {
        Unanswered { resets: Arc::clone(self), answered: false }
    }

    /// Resolves once the client has given up on more than it may.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }
}

impl Unanswered {
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.answered && self.resets.allowed.check().is_err() {
            self.resets.too_many.notify_one();
        }
    }
}
