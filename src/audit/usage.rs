//! Usage counts in memory, until the database has them.
//!
//! Invariants: a count that was seen before costs no allocation. What is on its way to the database stays as it is, under
//! one number, until the database has it; a number is added once. Bounded: counts above the bound are dropped and logged.
//!
//! Not here: platform keys; byokd does not report their usage.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use time::OffsetDateTime;
use uuid::Uuid;

use super::checkpoint::ChainRow;
use crate::{
    domain::{
        audit::{HandedOut, KeyUsage},
        error::Error,
        names::{ProviderName, WorkspaceId},
    },
    store::Store,
};

/// How many counts are kept at the most.
const MOST: usize = 50_000;
const HOUR: i64 = 3600;

#[derive(Default)]
pub(super) struct Usage {
    counts: Mutex<Counts>,
    on_its_way: tokio::sync::Mutex<OnItsWay>,
}

#[derive(Default)]
struct Counts {
    /// By key and by the beginning of the hour, in seconds since 1970.
    keys: HashMap<(Uuid, i64), Key>,
    rows: usize,
    dropped: u64,
}

struct Key {
    workspace: WorkspaceId,
    provider: ProviderName,
    generation: u64,
    callers: HashMap<String, u64>,
}

#[derive(Default)]
struct OnItsWay {
    number: u64,
    rows: Vec<KeyUsage>,
}

impl Usage {
    /// Counts one.
    pub(super) fn count(&self, key_id: Uuid, key: &HandedOut<'_>, now: OffsetDateTime) {
        let second = now.unix_timestamp();
        let hour = second.saturating_sub(second.rem_euclid(HOUR));
        // No code panics while it holds the lock, so a poisoned one still holds good counts.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        if let Some(count) = counts
            .keys
            .get_mut(&(key_id, hour))
            .and_then(|known| known.callers.get_mut(key.caller))
        {
            *count = count.saturating_add(1);
            return;
        }
        if counts.rows >= MOST {
            counts.dropped = counts.dropped.saturating_add(1);
            return;
        }
        counts.rows = counts.rows.saturating_add(1);
        let known = counts.keys.entry((key_id, hour)).or_insert_with(|| Key {
            workspace: key.workspace.clone(),
            provider: key.provider.clone(),
            generation: key.generation,
            callers: HashMap::new(),
        });
        known.callers.insert(key.caller.to_owned(), 1);
    }

    /// Adds everything to the database's counts.
    pub(super) async fn flush(&self, store: &Store, chain: ChainRow) -> Result<(), Error> {
        let mut on_its_way = self.on_its_way.lock().await;
        // First what is on its way for longer.
        for _ in 0..2 {
            if on_its_way.rows.is_empty() {
                on_its_way.rows = self.take();
                on_its_way.number = on_its_way.number.saturating_add(1);
            }
            if on_its_way.rows.is_empty() {
                return Ok(());
            }
            store
                .add_key_usage(
                    chain.chain_id,
                    chain.opened_at,
                    on_its_way.number,
                    &on_its_way.rows,
                )
                .await?;
            on_its_way.rows.clear();
        }
        Ok(())
    }

    fn take(&self) -> Vec<KeyUsage> {
        let Counts {
            keys,
            rows,
            dropped,
        } = mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if dropped > 0 {
            tracing::error!(
                dropped,
                "more keys were handed out than can be counted without the database"
            );
        }
        let mut taken = Vec::with_capacity(rows);
        for ((_, hour), key) in keys {
            let Ok(hour) = OffsetDateTime::from_unix_timestamp(hour) else {
                continue;
            };
            taken.extend(
                key.callers
                    .into_iter()
                    .map(|(caller, handed_out)| KeyUsage {
                        workspace: key.workspace.clone(),
                        provider: key.provider.to_string(),
                        generation: key.generation,
                        caller,
                        hour,
                        handed_out,
                    }),
            );
        }
        // Every replica adds in this order, so that two never wait for each other.
        taken.sort_by(|one, other| one.place().cmp(&other.place()));
        taken
    }
}
