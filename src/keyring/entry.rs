//! One data key in memory: its row, the unwrapped key, and their ages.

use std::{sync::Arc, time::Duration};

use super::bucket::BUCKETS;
use crate::{
    domain::envelope::{DataKey, DataKeyId},
    store::DataKeyRow,
};

/// Age at which the background refreshes a data key.
const REFRESH_AGE: Duration = Duration::from_secs(10 * 60);
/// … the last bucket's this much later than the first one's.
const SPREAD_MS: u64 = 60_000;
/// For how long a row that is damaged is not tried again, unless it changes.
const DAMAGED_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: DataKeyRow,
    pub(super) loaded: Option<Loaded>,
    /// When it did not unwrap. What is loaded all the same was before its row moved to a stranger's KMS key.
    pub(super) damaged_at: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) key: Arc<DataKey>,
    pub(super) kms_key_arn: String,
    pub(super) at: Duration,
}

/// A data key, as old as it is.
pub(super) enum Found {
    /// Good for use.
    Fresh(Arc<DataKey>),
    /// Good for use as long as its KMS key cannot be asked.
    Stale(Arc<DataKey>, Under),
    /// Not held, or too old.
    Nothing,
}

/// The KMS keys of a data key that is held.
pub(super) struct Under {
    /// The one that unwrapped it.
    pub(super) loaded: String,
    /// The one that its row names by now.
    pub(super) row: String,
    /// That one is a stranger's.
    pub(super) refused: bool,
}

impl Entry {
    /// Whether the blob is another in this row, and whether the KMS key is.
    pub(super) fn changes(&self, row: &DataKeyRow) -> (bool, bool) {
        (
            self.row.wrapped != row.wrapped,
            self.row.kms_key_arn != row.kms_key_arn,
        )
    }

    pub(super) fn is_damaged(&self, now: Duration) -> bool {
        self.damaged_at
            .is_some_and(|at| now.saturating_sub(at) < DAMAGED_FOR)
    }
}

impl Loaded {
    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.at)
    }
}

/// The age at which the background refreshes this data key.
pub(super) fn refresh_age(id: DataKeyId) -> Duration {
    let share = u64::from(id.bucket)
        .saturating_mul(SPREAD_MS)
        .checked_div(u64::from(BUCKETS))
        .unwrap_or(0);
    REFRESH_AGE.saturating_add(Duration::from_millis(share.min(SPREAD_MS)))
}
