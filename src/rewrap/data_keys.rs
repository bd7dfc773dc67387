//! Moving data keys to the configured KMS key.

use super::{
    progress::{ClaimedRun, RewrapProgress},
    retry::retry,
};
use crate::{
    domain::error::{Error, Reason},
    keyring::Keyring,
    store::{DataKeyRow, Store},
};

/// The number of data keys that are moved before the progress is saved.
const BATCH: usize = 4;

/// Finds the data keys under another KMS key. Retired ones that cannot be moved stay.
pub(super) async fn misplaced(
    store: &Store,
    keyring: &Keyring,
    kms_key_arn: &str,
) -> Result<Vec<DataKeyRow>, Error> {
    let mut rows = store.data_keys().await?;
    rows.retain(|row| row.kms_key_arn != kms_key_arn && (row.active || keyring.can_rewrap(row)));
    rows.sort_by_key(|row| row.id);
    match rows.iter().find(|row| !keyring.can_rewrap(row)) {
        None => Ok(rows),
        // No KMS can unwrap with a local key file, and no key file with a KMS.
        Some(row) => Err(Error::new(
            Reason::FieldInvalid,
            format!(
                "cannot move data keys from {} to {kms_key_arn} without their plaintext; run `byokd rewrap \
                 --data-keys`, which seals the records again",
                row.kms_key_arn
            ),
        )),
    }
}

/// Moves these data keys.
pub(super) async fn move_data_keys(
    claimed: &mut ClaimedRun<'_, impl FnMut(RewrapProgress)>,
    misplaced: &[DataKeyRow],
) -> Result<(), Error> {
    let (mut done, total) = (0, count(misplaced.len()));
    for batch in misplaced.chunks(BATCH) {
        for row in batch {
            match retry(async || claimed.keyring.rewrap(row).await).await {
                // `false`: another process moved it meanwhile.
                Ok(moved) => claimed.add_moved(u64::from(moved)),
                Err(error) if error.reason() == Reason::RecordCorrupt => {
                    tracing::error!(data_key = ?row.id, kms_key = row.kms_key_arn, ?error, "cannot move a data key");
                    claimed.add_refused();
                }
                Err(error) => return Err(error),
            }
            claimed.run.bucket = row.id.bucket;
        }
        claimed.save().await?;
        done = count(batch.len()).saturating_add(done);
        claimed.report(done, total);
    }
    Ok(())
}

pub(super) fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
