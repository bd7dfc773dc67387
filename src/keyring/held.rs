//! The cached data keys: the rows of the last read, and the unwrapped keys.
//!
//! Invariants: an age counts from the load, however hot the key is. A data key is held under the KMS key that unwrapped
//! it, whatever its row says by now: a rewrapped data key is the same one, with another blob and another KMS key. A
//! row of which one of them changed is another data key's. What is damaged is not held.
//!
//! Not here: calls of any kind; nothing here waits.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use super::{
    bucket::BUCKETS,
    entry::{Entry, Found, Loaded, Under, refresh_age},
};
use crate::{
    domain::envelope::{DataKey, DataKeyId},
    store::DataKeyRow,
};

/// Beyond this age, a data key is used only while the KMS fails.
const SOFT_AGE: Duration = Duration::from_secs(15 * 60);
/// Beyond this age it is used no more.
const HARD_AGE: Duration = Duration::from_secs(75 * 60);

#[derive(Debug, Default)]
pub(super) struct Held(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<DataKeyId, Entry>,
    /// Bucket → the version that seals.
    active: HashMap<u16, u32>,
}

impl Held {
    pub(super) fn find(&self, id: DataKeyId, now: Duration) -> Found {
        let inner = self.read();
        let Some((entry, loaded)) = inner
            .entries
            .get(&id)
            .and_then(|entry| entry.loaded.as_ref().map(|loaded| (entry, loaded)))
        else {
            return Found::Nothing;
        };
        let under = || Under {
            loaded: loaded.kms_key_arn.clone(),
            row: entry.row.kms_key_arn.clone(),
            refused: entry.damaged_at.is_some(),
        };
        match loaded.age(now) {
            age if age < SOFT_AGE => Found::Fresh(Arc::clone(&loaded.key)),
            age if age < HARD_AGE => Found::Stale(Arc::clone(&loaded.key), under()),
            _ => Found::Nothing,
        }
    }

    /// The data key that seals.
    pub(super) fn active(&self, bucket: u16) -> Option<DataKeyId> {
        self.read().active.get(&bucket).map(|version| DataKeyId {
            bucket,
            version: *version,
        })
    }

    /// The row as it was read last.
    pub(super) fn row(&self, id: DataKeyId) -> Option<DataKeyRow> {
        self.read().entries.get(&id).map(|entry| entry.row.clone())
    }

    /// The row of a cached data key; none if the data key was refreshed since.
    pub(super) fn row_of(&self, data_key: &Arc<DataKey>) -> Option<DataKeyRow> {
        let inner = self.read();
        let entry = inner.entries.get(&data_key.id)?;
        let held = entry
            .loaded
            .as_ref()
            .is_some_and(|loaded| Arc::ptr_eq(&loaded.key, data_key));
        held.then(|| entry.row.clone())
    }

    /// All rows, as they are now. What is gone is forgotten.
    pub(super) fn observe_all(&self, rows: Vec<DataKeyRow>) {
        let mut inner = self.write();
        let mut before = std::mem::take(&mut inner.entries);
        inner.active.clear();
        for row in rows {
            if let Some(entry) = before.remove(&row.id) {
                inner.entries.insert(row.id, entry);
            }
            inner.observe(row);
        }
    }

    /// One row, as it is now.
    pub(super) fn observe(&self, row: DataKeyRow) {
        self.write().observe(row);
    }

    /// Holds what a row was unwrapped to, at this time, unless the row changed meanwhile.
    pub(super) fn put(&self, row: &DataKeyRow, key: Arc<DataKey>, at: Duration) {
        let mut inner = self.write();
        if let Some(entry) = inner
            .entries
            .get_mut(&row.id)
            .filter(|entry| entry.changes(row) == (false, false))
        {
            entry.loaded = Some(Loaded {
                key,
                kms_key_arn: row.kms_key_arn.clone(),
                at,
            });
            entry.damaged_at = None;
        }
    }

    /// A row does not unwrap: what is held of it is dropped. Says whether that is news.
    pub(super) fn damaged(&self, id: DataKeyId, now: Duration) -> bool {
        let mut inner = self.write();
        let Some(entry) = inner.entries.get_mut(&id) else {
            return true;
        };
        entry.loaded = None;
        entry.damaged_at.replace(now).is_none()
    }

    /// A row is under a stranger's KMS key: it is not tried again for a while, and what is held of it grows old. Says
    /// whether that is news.
    pub(super) fn refused(&self, id: DataKeyId, now: Duration) -> bool {
        let mut inner = self.write();
        inner
            .entries
            .get_mut(&id)
            .is_none_or(|entry| entry.damaged_at.replace(now).is_none())
    }

    /// Rows under a KMS key that is no stranger any more may be tried again.
    pub(super) fn forgive(&self, knows: impl Fn(&str) -> bool) {
        for entry in self.write().entries.values_mut() {
            entry.damaged_at.take_if(|_| knows(&entry.row.kms_key_arn));
        }
    }

    /// Whether this very row was found damaged lately.
    pub(super) fn is_damaged(&self, id: DataKeyId, now: Duration) -> bool {
        self.read()
            .entries
            .get(&id)
            .is_some_and(|entry| entry.is_damaged(now))
    }

    /// Drops what this KMS key unwrapped.
    pub(super) fn forget_under(&self, kms_key_arn: &str) -> usize {
        let mut forgotten = 0_usize;
        for entry in self.write().entries.values_mut() {
            if entry
                .loaded
                .take_if(|loaded| loaded.kms_key_arn == kms_key_arn)
                .is_some()
            {
                forgotten = forgotten.saturating_add(1);
            }
        }
        forgotten
    }

    /// Drops everything.
    pub(super) fn forget_all(&self) {
        for entry in self.write().entries.values_mut() {
            entry.loaded = None;
        }
    }

    /// Drops expired data keys.
    pub(super) fn forget_expired(&self, now: Duration) {
        for entry in self.write().entries.values_mut() {
            entry.loaded.take_if(|loaded| loaded.age(now) >= HARD_AGE);
        }
    }

    /// Rows of which nothing is held.
    pub(super) fn not_loaded(&self, now: Duration) -> Vec<DataKeyRow> {
        let inner = self.read();
        let entries = inner
            .entries
            .values()
            .filter(|entry| entry.loaded.is_none() && !entry.is_damaged(now));
        entries.map(|entry| entry.row.clone()).collect()
    }

    /// Whether a data key should be unwrapped now.
    pub(super) fn needs(&self, id: DataKeyId, now: Duration) -> bool {
        let inner = self.read();
        inner
            .entries
            .get(&id)
            .is_some_and(|entry| match &entry.loaded {
                Some(loaded) => loaded.age(now) >= refresh_age(id) && !entry.is_damaged(now),
                None => !entry.is_damaged(now),
            })
    }

    /// Rows of the data keys that need a refresh, oldest first.
    pub(super) fn due(&self, now: Duration) -> Vec<DataKeyRow> {
        let inner = self.read();
        let tried = inner
            .entries
            .values()
            .filter(|entry| !entry.is_damaged(now));
        let loaded = tried.filter_map(|entry| Some((entry.loaded.as_ref()?.at, &entry.row)));
        let mut due: Vec<_> = loaded
            .filter(|(at, row)| now.saturating_sub(*at) >= refresh_age(row.id))
            .collect();
        due.sort_by_key(|(at, row)| (*at, row.id));
        due.into_iter().map(|(_, row)| row.clone()).collect()
    }

    /// A row under this KMS key to try it on: what was loaded last the longest ago.
    pub(super) fn sample(&self, kms_key_arn: &str, now: Duration) -> Option<DataKeyRow> {
        let inner = self.read();
        let under = inner
            .entries
            .values()
            .filter(|entry| entry.row.kms_key_arn == kms_key_arn && !entry.is_damaged(now));
        let oldest =
            under.min_by_key(|entry| (entry.loaded.as_ref().map(|loaded| loaded.at), entry.row.id));
        oldest.map(|entry| entry.row.clone())
    }

    /// Whether something that this KMS key unwrapped is used beyond its soft age.
    pub(super) fn has_stale_under(&self, kms_key_arn: &str, now: Duration) -> bool {
        let inner = self.read();
        let mut loaded = inner
            .entries
            .values()
            .filter_map(|entry| entry.loaded.as_ref());
        loaded.any(|loaded| loaded.kms_key_arn == kms_key_arn && loaded.age(now) >= SOFT_AGE)
    }

    /// Buckets in which nothing seals.
    pub(super) fn buckets_without_active(&self) -> Vec<u16> {
        let inner = self.read();
        (0..BUCKETS)
            .filter(|bucket| !inner.active.contains_key(bucket))
            .collect()
    }

    /// The first version that a bucket has not used.
    pub(super) fn unused(&self, bucket: u16) -> DataKeyId {
        let inner = self.read();
        let used = inner
            .entries
            .keys()
            .filter(|id| id.bucket == bucket)
            .map(|id| id.version)
            .max();
        DataKeyId {
            bucket,
            version: used.unwrap_or(0).saturating_add(1),
        }
    }

    /// How many of the data keys that seal are held, and how many there are. Before all are made these are fewer than
    /// the buckets.
    pub(super) fn count(&self, now: Duration) -> (usize, usize) {
        let inner = self.read();
        let ids = inner.active.iter().map(|(bucket, version)| DataKeyId {
            bucket: *bucket,
            version: *version,
        });
        let loaded = ids.filter_map(|id| inner.entries.get(&id)?.loaded.as_ref());
        (
            loaded.filter(|loaded| loaded.age(now) < HARD_AGE).count(),
            inner.active.len(),
        )
    }

    /// How long ago what is held was unwrapped that was unwrapped the longest ago.
    pub(super) fn oldest_age(&self, now: Duration) -> Option<Duration> {
        let inner = self.read();
        let loaded = inner
            .entries
            .values()
            .filter_map(|entry| entry.loaded.as_ref());
        loaded
            .map(|loaded| loaded.age(now))
            .filter(|age| *age < HARD_AGE)
            .max()
    }

    // No code panics while it holds the lock, so a poisoned one still holds good keys.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn observe(&mut self, row: DataKeyRow) {
        let DataKeyId { bucket, version } = row.id;
        if row.active {
            let seals = self.active.entry(bucket).or_insert(version);
            *seals = (*seals).max(version);
        } else if self.active.get(&bucket) == Some(&version) {
            self.active.remove(&bucket);
        }
        match self.entries.get_mut(&row.id) {
            Some(entry) => {
                let (blob, kms_key) = entry.changes(&row);
                if blob || kms_key {
                    entry.damaged_at = None;
                }
                // A rewrap changes both.
                if blob != kms_key {
                    entry.loaded = None;
                }
                entry.row = row;
            }
            None => {
                self.entries.insert(
                    row.id,
                    Entry {
                        row,
                        loaded: None,
                        damaged_at: None,
                    },
                );
            }
        }
    }
}
