//! For how long what was read counts: histories of the database, the epochs within them, and their last good polls.
//!
//! Invariants: an epoch ends when a poll fails or another server answers, since changes may then have gone unseen or
//! reads come from elsewhere; a history ends when the log no longer continues what was seen of it, and its epoch with
//! it. Neither ever comes back. A poll counts for the epoch that it ended in, and for no later one.
//!
//! Not here: why one ends (`follow`), and what is served nevertheless (`slot`).

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// Of how many epochs the last good poll is remembered: polls that fail every other time, for longer than the grace.
const REMEMBERED: usize = 100;

/// A history of the database, by number. Revisions of different histories cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History(u64);

/// A moment: what was read in one says nothing about another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era {
    pub(super) history: History,
    epoch: u64,
}

#[derive(Debug, Default)]
pub(super) struct Epochs(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    now: Era,
    /// When the last good poll began, of each epoch that had one.
    polls: BTreeMap<u64, Duration>,
}

impl Epochs {
    /// The era that it is.
    pub(super) fn now(&self) -> Era {
        self.read(|state| state.now)
    }

    /// The era that it is, and when the last good poll of `era` began.
    pub(super) fn now_and_poll_of(&self, era: Era) -> (Era, Option<Duration>) {
        self.read(|state| (state.now, state.polls.get(&era.epoch).copied()))
    }

    /// When the last good poll of all began.
    pub(super) fn last_poll(&self) -> Option<Duration> {
        self.read(|state| state.polls.values().max().copied())
    }

    /// A poll that began at `began` saw every change before it, and each was applied.
    pub(super) fn polled(&self, began: Duration) {
        self.write(|state| {
            state.polls.insert(state.now.epoch, began);
            if state.polls.len() > REMEMBERED {
                state.polls.pop_first();
            }
        });
    }

    /// Changes may have gone unseen: everything is read again.
    pub(super) fn next_epoch(&self) {
        self.write(|state| state.now.epoch = state.now.epoch.saturating_add(1));
    }

    /// The database is not the one that it was: everything is read again, and the revisions seen count no longer.
    pub(super) fn next_history(&self) {
        self.write(|state| {
            state.now.history.0 = state.now.history.0.saturating_add(1);
            state.now.epoch = state.now.epoch.saturating_add(1);
        });
    }

    // No code panics while it holds the lock, so a poisoned one still holds a good state.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
