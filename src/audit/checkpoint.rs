//! Checkpoints: the position of this chain in the database, so that a cut tail is detected.
//!
//! Invariants: a checkpoint covers only entries on disk. A database outage costs a checkpoint, never an entry;
//! what was handed out waits for it in memory, within a bound.
//!
//! Not here: comparing (`verify`).

use std::time::Duration;

use time::OffsetDateTime;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{Audit, CLOSE, DATABASE_LIMIT, writer::Head};
use crate::domain::{
    audit::{Checkpoint, HandedOut},
    error::Error,
};

/// Interval between writes of usage counts.
const FLUSH: Duration = Duration::from_secs(10);
/// How many of these there are between two checkpoints.
const FLUSHES_A_CHECKPOINT: u32 = 6;

/// What stays the same of a chain's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainRow {
    pub(super) chain_id: Uuid,
    pub(super) opened_at: OffsetDateTime,
}

impl Audit {
    /// A workspace's own key was given to a caller.
    pub fn handed_out(&self, key_id: Uuid, key: &HandedOut<'_>) {
        self.usage.count(key_id, key, self.clock.now());
    }

    /// Keeps the database informed, for ever.
    pub async fn tend(&self) {
        let mut ticks = interval(FLUSH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rounds = 0_u32;
        let (mut counted, mut checked) = (true, true);
        loop {
            ticks.tick().await;
            if rounds == 0 {
                let done = self.checkpoint().await;
                log_change(
                    &mut checked,
                    done,
                    "the audit stream's checkpoint was not written",
                );
            }
            rounds = rounds.saturating_add(1) % FLUSHES_A_CHECKPOINT;
            let done = self.flush_usage().await;
            log_change(&mut counted, done, "what was handed out is counted later");
        }
    }

    /// Writes the chain's position on disk to the database.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let (asked, head) = oneshot::channel();
        self.queue.order(|orders| orders.heads.push(asked));
        match tokio::time::timeout(CLOSE, head).await {
            Ok(Ok(Some(head))) => self.write_checkpoint(head).await,
            _ => Err(Error::internal("the audit stream is not on disk")),
        }
    }

    /// Writes the usage counts since the last write to the database.
    pub async fn flush_usage(&self) -> Result<(), Error> {
        self.usage.flush(&self.store, self.chain).await
    }

    /// Ends the stream in order: everything is written, and the database knows.
    pub async fn close(&self) {
        let (asked, head) = oneshot::channel();
        self.queue.order(|orders| orders.close = Some(asked));
        let head = tokio::time::timeout(CLOSE, head).await;
        // The entries are on disk. Bound the wait for a slow database, because the shutdown waits.
        let stored = async {
            if let Err(error) = self.flush_usage().await {
                tracing::warn!(?error, "what was handed out last was not counted");
            }
            match head {
                Ok(Ok(Some(head))) => self.write_checkpoint(head).await,
                _ => Err(Error::internal("the audit stream did not end in order")),
            }
        };
        let late = |_| {
            Err(Error::internal(format!(
                "the database did not answer within {DATABASE_LIMIT:?}"
            )))
        };
        let written = tokio::time::timeout(DATABASE_LIMIT, stored)
            .await
            .unwrap_or_else(late);
        if let Err(error) = written {
            tracing::warn!(?error, "the audit stream's last checkpoint was not written");
        }
    }

    /// Deletes what the database has remembered for long enough.
    pub async fn purge(&self) -> Result<(), Error> {
        let before = self.clock.now().saturating_sub(self.retention);
        self.store.purge_audit_events(before).await?;
        self.store.purge_key_usage(before).await?;
        self.store.purge_audit_chains(before).await
    }

    async fn write_checkpoint(&self, head: Head) -> Result<(), Error> {
        let Head {
            chain,
            count,
            mac,
            closed,
        } = head;
        let checkpoint = Checkpoint {
            chain_id: chain,
            opened_at: self.chain.opened_at,
            count,
            head: mac,
            at: self.clock.now(),
            closed,
        };
        self.store.write_checkpoint(&checkpoint).await
    }
}

/// Warns once an outage.
fn log_change(good: &mut bool, done: Result<(), Error>, what: &str) {
    match done {
        Ok(()) => *good = true,
        Err(error) if *good => {
            *good = false;
            tracing::warn!(?error, "{what}");
        }
        Err(_) => {}
    }
}
