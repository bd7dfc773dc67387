//! The one that writes: a thread of its own, which words, chains, writes and syncs.
//!
//! Invariants: a batch is whole in the file or not there at all, and the chain goes on from what is there. All that wait
//! for the same batch wait for one sync. After a failed write it tries again by itself, four times a second. A change
//! whose line failed is kept and written later; everything else is counted.
//!
//! Not here: waiting for callers; nothing here is theirs.

use std::{io, mem, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    LONGEST_LINE,
    chain::{Chain, Place, hex},
    event::{Event, Opened},
    queue::{Entry, Queue},
    sink::Sink,
};
use crate::domain::{audit::Mac, clock::Clock};

/// How often the writer looks by itself.
const LOOK: Duration = Duration::from_millis(50);
/// The same while it cannot write.
const LOOK_IN_OUTAGE: Duration = Duration::from_millis(250);
/// How many changes are kept while it cannot write.
const KEPT: usize = 4096;

/// How far a chain is on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) chain: Uuid,
    pub(super) count: u64,
    pub(super) mac: Mac,
    pub(super) closed: bool,
}

pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) sink: Sink,
    pub(super) chain: Chain,
    pub(super) clock: Clock,
    pub(super) opened: Opened,
    /// Sync every batch before its waiters continue.
    pub(super) durable: bool,
    pub(super) state: State,
}

/// What the writer remembers from batch to batch.
#[derive(Default)]
pub(super) struct State {
    /// The last write failed.
    outage: bool,
    /// The file is another one than before.
    continued: bool,
    /// Suppressed refusals that the stream does not report yet.
    suppressed: u64,
    /// Changes that could not be written yet.
    kept: Vec<Entry>,
    batch: Vec<u8>,
}

impl Writer {
    /// Writes until a close order.
    pub(super) fn run(mut self) {
        let mut entries = Vec::new();
        loop {
            let wait = match (self.chain.place.count, self.state.outage) {
                (0, false) => Duration::ZERO,
                (_, false) => LOOK,
                (_, true) => LOOK_IN_OUTAGE,
            };
            let mut orders = self.queue.take(&mut entries, wait);
            if orders.reopen {
                self.reopen();
            }
            let ending = orders.close.is_some() || orders.abandoned;
            let second = (!ending).then(|| self.clock.elapsed().as_secs());
            let suppressed = self.queue.suppressed(second);
            self.state.suppressed = self.state.suppressed.saturating_add(suppressed);
            if let Some(closing) = orders.close.take() {
                let (at, since) = (self.clock.now(), self.clock.elapsed());
                entries.push(Entry {
                    at,
                    since,
                    event: Event::Closed,
                    waiter: None,
                });
                self.round(&mut entries);
                let head = self.head(!self.state.outage);
                // The lock on the file goes before anyone hears that it is over.
                self.sink.release();
                let _nobody_waits = closing.send(head);
                return;
            }
            self.round(&mut entries);
            if orders.abandoned {
                self.sink.release();
                return;
            }
            for asked in orders.heads {
                let _nobody_waits = asked.send(self.head(false));
            }
        }
    }

    /// How far the chain is, once that is on disk.
    fn head(&self, closed: bool) -> Option<Head> {
        let Place { count, head } = self.chain.place;
        if count == 0 {
            return None;
        }
        match self.sink.sync() {
            Ok(()) => Some(Head {
                chain: self.chain.id,
                count,
                mac: head,
                closed,
            }),
            Err(error) => {
                tracing::warn!(%error, "the audit file could not be synced; there is no checkpoint");
                None
            }
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.sync() {
            tracing::warn!(%error, "the old audit file could not be synced");
        }
        match self.sink.reopen() {
            Ok(other) => self.state.continued |= other,
            Err(error) => {
                tracing::warn!(%error, "cannot reopen the audit file; byokd keeps writing to the old one")
            }
        }
    }

    /// Writes everything there is, as one batch.
    fn round(&mut self, entries: &mut Vec<Entry>) {
        let (place, lost) = (self.chain.place, self.queue.lost());
        let mut kept = mem::take(&mut self.state.kept);
        kept.append(entries);
        let mut batch = mem::take(&mut self.state.batch);
        batch.clear();
        self.word(&mut batch, &kept, lost);
        if batch.is_empty() {
            // Nothing failed that could be tried again.
            self.state.batch = batch;
            self.queue.kept_since(None);
            return;
        }
        let length = self.sink.length();
        let mut written = self.sink.write(&batch);
        if self.durable && written.is_ok() {
            written = self.sink.sync();
            if written.is_err() {
                self.sink.take_back(length);
            }
        }
        self.state.batch = batch;
        match written {
            Ok(()) => self.wrote(kept, lost),
            Err(error) => {
                self.chain.place = place;
                self.failed(kept, lost, &error);
            }
        }
    }

    /// Words a batch.
    fn word(&mut self, batch: &mut Vec<u8>, entries: &[Entry], lost: u64) {
        let (now, end) = (self.clock.now(), self.sink.end());
        let torn = end.torn;
        if torn {
            batch.push(b'\n');
        }
        let opens = self.chain.place.count == 0;
        if opens {
            let follows = end.last.map(|mac| hex(&mac));
            self.line(
                batch,
                now,
                &Event::Opened(Opened {
                    follows,
                    torn,
                    ..self.opened.clone()
                }),
            );
        } else if self.state.continued {
            let previous = hex(&self.chain.place.head);
            self.line(batch, now, &Event::Continued { previous, torn });
        }
        if lost > 0 || (torn && !opens && !self.state.continued) {
            let torn = torn && !opens && !self.state.continued;
            self.line(batch, now, &Event::Lost { count: lost, torn });
        }
        if self.state.suppressed > 0 {
            self.line(
                batch,
                now,
                &Event::Suppressed {
                    count: self.state.suppressed,
                },
            );
        }
        for entry in entries {
            self.line(batch, entry.at, &entry.event);
        }
    }

    fn line(&mut self, batch: &mut Vec<u8>, at: time::OffsetDateTime, event: &Event) {
        let (place, start) = (self.chain.place, batch.len());
        if let Err(error) = self.chain.append(batch, at, event) {
            tracing::error!(%error, "an audit line could not be worded");
            self.queue.lose(1);
            return;
        }
        let length = u64::try_from(batch.len().saturating_sub(start)).unwrap_or(u64::MAX);
        if length > LONGEST_LINE
            && let Event::Changed(changed) = event
        {
            // The database's row has all of it.
            batch.truncate(start);
            self.chain.place = place;
            self.line(batch, at, &Event::Changed(Box::new(changed.shortened())));
        }
    }

    fn wrote(&mut self, entries: Vec<Entry>, lost: u64) {
        for entry in entries {
            if let Some(waiter) = entry.waiter {
                let _nobody_waits = waiter.send(true);
            }
        }
        if mem::take(&mut self.state.outage) {
            tracing::info!(lost, "the audit stream is written again");
        } else if lost > 0 {
            tracing::warn!(
                lost,
                "more happened than the audit stream could take; the rest is only counted"
            );
        }
        self.sink.settle();
        self.queue.kept_since(None);
        self.queue.set_broken(false);
        self.state.continued = false;
        self.state.suppressed = 0;
    }

    fn failed(&mut self, entries: Vec<Entry>, lost: u64, error: &io::Error) {
        if !mem::replace(&mut self.state.outage, true) {
            let effect = if self.durable {
                "calls are refused"
            } else {
                "byokd serves on without it"
            };
            tracing::error!(%error, "the audit stream cannot be written; {effect} until it can");
        }
        self.queue.set_broken(true);
        let mut failed = 0_u64;
        for mut entry in entries {
            if let Some(waiter) = entry.waiter.take() {
                let _nobody_waits = waiter.send(false);
            }
            if matches!(entry.event, Event::Changed(_)) && self.state.kept.len() < KEPT {
                self.state.kept.push(entry);
            } else if !matches!(entry.event, Event::Closed) {
                failed = failed.saturating_add(1);
            }
        }
        self.queue
            .kept_since(self.state.kept.first().map(|entry| entry.since));
        self.queue.not_told(lost);
        self.queue.lose(failed);
    }
}
