//! Re-sealing records under new data keys, bucket by bucket.

use uuid::Uuid;

use super::{
    progress::{ClaimedRun, RewrapProgress},
    retry::retry,
};
use crate::{
    domain::error::{Error, Reason},
    keyring::BUCKETS,
};

/// The number of records that are re-sealed in one transaction.
const BATCH: u64 = 50;

/// Re-seals every record.
pub(super) async fn move_records(
    claimed: &mut ClaimedRun<'_, impl FnMut(RewrapProgress)>,
) -> Result<(), Error> {
    let (store, keyring) = (claimed.store, claimed.keyring);
    for bucket in claimed.run.bucket..BUCKETS {
        claimed.run.bucket = bucket;
        let successor = match claimed.run.after {
            // The earlier run created it, or a serving process has created a newer one since.
            Some(_) => retry(async || keyring.active_of(bucket).await).await?,
            None => retry(async || keyring.succeed(bucket).await).await?,
        };
        let mut after = claimed.run.after.unwrap_or(Uuid::nil());
        loop {
            claimed.run.after = Some(after);
            claimed.save().await?;
            claimed.report(u64::from(bucket), u64::from(BUCKETS));
            let read = async || store.records_of_bucket(bucket, Some(after), BATCH).await;
            let records = retry(read).await?;
            let Some((last, _)) = records.last() else {
                break;
            };
            after = *last;
            let mut resealed = Vec::with_capacity(records.len());
            for (key_id, record) in records {
                let outcome = match record {
                    Ok(record) => retry(async || keyring.reseal(&record, &successor).await)
                        .await
                        .map(|sealed| (record, sealed)),
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok(pair) => resealed.push(pair),
                    Err(error) if error.reason() == Reason::RecordCorrupt => {
                        tracing::error!(%key_id, ?error, "cannot re-seal a record");
                        claimed.add_refused();
                    }
                    Err(error) => return Err(error),
                }
            }
            let moved = retry(async || store.reseal(successor.id, &resealed).await).await?;
            claimed.add_moved(moved);
        }
        claimed.run.after = None;
    }
    claimed.report(u64::from(BUCKETS), u64::from(BUCKETS));
    Ok(())
}
