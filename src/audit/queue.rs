//! The queue of entries that wait for the writer.
//!
//! Invariants: bounded; nothing here is held across an await; the road in is a lock for the length of a push. A buffered
//! push does not wake the writer, which looks by itself. What finds no room is counted.
//!
//! Not here: lines. A caller leaves what happened, and the writer words it.

use std::{
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::{event::Event, writer::Head};

/// How many events wait at the most.
const CAPACITY: usize = 65_536;
/// Refusals of unauthenticated callers that get an entry of their own, per second.
const UNAUTHENTICATED_PER_SECOND: u64 = 10;

/// One thing that happened.
pub(super) struct Entry {
    pub(super) at: OffsetDateTime,
    /// The same on the clock's monotonic reading.
    pub(super) since: Duration,
    pub(super) event: Event,
    /// Who waits until it is on disk; `true`: it is.
    pub(super) waiter: Option<oneshot::Sender<bool>>,
}

/// What else the writer is asked.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) heads: Vec<oneshot::Sender<Option<Head>>>,
    pub(super) reopen: bool,
    pub(super) close: Option<oneshot::Sender<Option<Head>>>,
    /// The `Audit` is gone without a farewell.
    pub(super) abandoned: bool,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// When the oldest entry came in that the writer took and has not written.
    taken_since: Option<Duration>,
    orders: Orders,
    /// The writer should look now.
    urgent: bool,
    closed: bool,
    unauthenticated: UnauthenticatedRefusals,
}

/// Refusals of unauthenticated callers in one second.
#[derive(Default)]
struct UnauthenticatedRefusals {
    second: u64,
    count: u64,
    suppressed: u64,
}

pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// Lost entries that the stream does not report yet.
    lost: AtomicU64,
    lost_in_all: AtomicU64,
    broken: AtomicBool,
    written: AtomicBool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            lost: AtomicU64::new(0),
            lost_in_all: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            written: AtomicBool::new(false),
        }
    }

    /// No code panics while it holds the lock, so a poisoned one still holds a good state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what happened; `false`: there is no room, and it is counted. An urgent one wakes the writer.
    pub(super) fn push(&self, entry: Entry, urgent: bool) -> bool {
        let mut state = self.state();
        if state.closed || state.entries.len() >= CAPACITY {
            drop(state);
            self.lose(1);
            return false;
        }
        state.entries.push(entry);
        let urgent = urgent || state.entries.len() == CAPACITY / 2;
        state.urgent |= urgent;
        drop(state);
        if urgent {
            self.wake.notify_one();
        }
        true
    }

    /// Whether a refusal of an unauthenticated caller in this second gets an entry of its own. If not, it is counted.
    pub(super) fn admits_unauthenticated(&self, second: u64) -> bool {
        let refusals = &mut self.state().unauthenticated;
        if refusals.second != second {
            refusals.second = second;
            refusals.count = 0;
        }
        refusals.count = refusals.count.saturating_add(1);
        let admitted = refusals.count <= UNAUTHENTICATED_PER_SECOND;
        if !admitted {
            refusals.suppressed = refusals.suppressed.saturating_add(1);
        }
        admitted
    }

    /// How many refusals were suppressed, once their second is over.
    pub(super) fn suppressed(&self, second: Option<u64>) -> u64 {
        let refusals = &mut self.state().unauthenticated;
        match second == Some(refusals.second) {
            true => 0,
            false => mem::take(&mut refusals.suppressed),
        }
    }

    /// Gives the writer an order.
    pub(super) fn order(&self, give: impl FnOnce(&mut Orders)) {
        let mut state = self.state();
        give(&mut state.orders);
        state.urgent = true;
        drop(state);
        self.wake.notify_one();
    }

    /// Takes everything, at once if it is urgent, else after this time.
    pub(super) fn take(&self, entries: &mut Vec<Entry>, wait: Duration) -> Orders {
        let waited = self
            .wake
            .wait_timeout_while(self.state(), wait, |state| !state.urgent);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        mem::swap(&mut state.entries, entries);
        state.taken_since = state
            .taken_since
            .or(entries.first().map(|entry| entry.since));
        let orders = mem::take(&mut state.orders);
        state.closed |= orders.close.is_some() || orders.abandoned;
        orders
    }

    /// The writer keeps what came in since then to write it later; `None`: nothing.
    pub(super) fn kept_since(&self, since: Option<Duration>) {
        self.state().taken_since = since;
    }

    /// When the oldest entry came in that is not written.
    pub(super) fn unwritten_since(&self) -> Option<Duration> {
        let state = self.state();
        state
            .taken_since
            .or(state.entries.first().map(|entry| entry.since))
    }

    /// Counts what was not written.
    pub(super) fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        self.lost_in_all.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes the count of what was not written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Adds back a count that the stream could not report.
    pub(super) fn not_told(&self, lost: u64) {
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// How much was not written since the start.
    pub(super) fn lost_in_all(&self) -> u64 {
        self.lost_in_all.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to write failed.
    pub(super) fn broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Release);
        self.written.fetch_or(!broken, Ordering::AcqRel);
    }

    /// Whether anything was ever written.
    pub(super) fn written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(since: u64) -> Entry {
        let since = Duration::from_secs(since);
        Entry {
            at: OffsetDateTime::UNIX_EPOCH,
            since,
            event: Event::Closed,
            waiter: None,
        }
    }

    /// What the metrics ask: the oldest that is not written, wherever it is.
    #[test]
    fn the_oldest_counts_until_it_is_written() {
        let (queue, mut taken) = (Queue::new(), Vec::new());
        assert_eq!(queue.unwritten_since(), None);
        assert!(queue.push(entry(3), true) && queue.push(entry(4), true));
        assert_eq!(queue.unwritten_since(), Some(Duration::from_secs(3)));
        queue.take(&mut taken, Duration::ZERO);
        queue.push(entry(5), true);
        assert_eq!(
            queue.unwritten_since(),
            Some(Duration::from_secs(3)),
            "taken and not written"
        );
        queue.kept_since(None);
        assert_eq!(queue.unwritten_since(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_is_lost_is_counted_once_however_often_it_is_told_in_vain() {
        let queue = Queue::new();
        queue.lose(2);
        let lost = queue.lost();
        queue.not_told(lost);
        queue.lose(1);
        assert_eq!((queue.lost(), queue.lost_in_all()), (3, 3));
    }
}
