//! `byokd rewrap`: moves data keys to another KMS key, or records to new data keys.
//!
//! Invariants: safe to kill and to run again, since how far it came stands in the database; safe beside processes that
//! serve, since every step is compare-and-set and a data key is retired only when its successor is there. What cannot
//! be moved is counted, told and left as it is; an outage is waited for, for a while. Only one runs at a time.
//!
//! Absent: a cleartext data key where the KMS can move it by itself.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    domain::error::{Error, Reason},
    keyring::{BUCKETS, Keyring},
    store::{DataKeyRow, RewrapRun, Store},
};

/// How often a step is tried while the KMS or the database is away, and how long the pause in between is.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// How many records are re-sealed in one transaction.
const BATCH: u64 = 50;
/// How many data keys are moved between two signs of life.
const DATA_KEYS: usize = 4;

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrap {
    /// Data keys, to the KMS key that is configured.
    KmsKey,
    /// Records, to new data keys.
    DataKeys,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewrapProgress {
    /// Data keys that were looked at, or buckets whose records were.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// How many data keys or records were moved.
    pub moved: u64,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapSummary {
    /// The KMS key that the data keys rest on now.
    pub kms_key_arn: String,
    /// How many data keys or records were moved; of a dry run: how many would be.
    pub moved: u64,
    /// How many could not be, because they are damaged; the log names each.
    pub refused: u64,
    /// An earlier run had begun it.
    pub resumed: bool,
}

/// Moves everything that is not where it should be. `dry_run` only counts; `restart` ignores what an earlier run
/// left unfinished.
pub async fn rewrap(
    store: &Store,
    keyring: &Keyring,
    what: Rewrap,
    dry_run: bool,
    restart: bool,
    mut tell: impl FnMut(RewrapProgress),
) -> Result<RewrapSummary, Error> {
    let kms_key_arn = keyring.current_kms_key().await?;
    let summary = |moved, refused, resumed| RewrapSummary {
        kms_key_arn: kms_key_arn.clone(),
        moved,
        refused,
        resumed,
    };
    let misplaced = match what {
        Rewrap::KmsKey => misplaced(store, keyring, &kms_key_arn).await?,
        Rewrap::DataKeys => Vec::new(),
    };
    match (what, dry_run) {
        (Rewrap::KmsKey, true) => return Ok(summary(count(misplaced.len()), 0, false)),
        (Rewrap::DataKeys, true) => return Ok(summary(store.count_records().await?, 0, false)),
        (Rewrap::KmsKey, false) if misplaced.is_empty() => return Ok(summary(0, 0, false)),
        (Rewrap::KmsKey | Rewrap::DataKeys, false) => {}
    }
    // Before anything depends on the new KMS key, it proves that it gives back what it takes.
    keyring.prove_kms_key().await?;
    let mode = match what {
        Rewrap::KmsKey => "kms_key",
        Rewrap::DataKeys => "data_keys",
    };
    let mut run = store.claim_rewrap(mode, &kms_key_arn, restart).await?;
    let resumed = run.bucket > 0 || run.after.is_some() || run.moved > 0;
    if resumed {
        tracing::warn!(
            bucket = run.bucket,
            "going on where an earlier run stopped; what that one did is not done again, unless --restart is given"
        );
    }
    let done = match what {
        // What was refused before is tried, and counted, again.
        Rewrap::KmsKey => {
            run.refused = 0;
            move_data_keys(store, keyring, &mut run, &misplaced, &mut tell).await
        }
        Rewrap::DataKeys => move_records(store, keyring, &mut run, &mut tell).await,
    };
    let done = match done {
        Ok(()) => complete(store, &run).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        if let Err(error) = store.release_rewrap(&run).await {
            tracing::warn!(
                ?error,
                "the next rewrap has to wait until this one is taken for dead"
            );
        }
        return Err(error);
    }
    store.save_rewrap(&run, true).await?;
    Ok(summary(run.moved, run.refused, resumed))
}

/// Whatever a cursor said: what seals is under the KMS key, and no live record is under what does not seal.
async fn complete(store: &Store, run: &RewrapRun) -> Result<(), Error> {
    let rows = store.data_keys().await?;
    let elsewhere = rows
        .iter()
        .filter(|row| row.active && row.kms_key_arn != run.kms_key_arn)
        .count();
    let unsealed = run.mode == "data_keys" && store.has_records_to_reseal().await?;
    if run.refused > 0 || (elsewhere == 0 && !unsealed) {
        return Ok(());
    }
    Err(Error::new(
        Reason::StoreUnavailable,
        format!(
            "not everything was moved: {elsewhere} data keys that seal are under another KMS key than {}{}; run it \
             again with --restart",
            run.kms_key_arn,
            if unsealed {
                ", and there are records under retired data keys"
            } else {
                ""
            }
        ),
    ))
}

/// The data keys that are under another KMS key. Retired ones that cannot be moved are left behind.
async fn misplaced(
    store: &Store,
    keyring: &Keyring,
    kms_key_arn: &str,
) -> Result<Vec<DataKeyRow>, Error> {
    let mut rows = store.data_keys().await?;
    rows.retain(|row| row.kms_key_arn != kms_key_arn && (row.active || keyring.can_rewrap(row)));
    rows.sort_by_key(|row| row.id);
    match rows.iter().find(|row| !keyring.can_rewrap(row)) {
        None => Ok(rows),
        // From a key file to a cloud KMS no wrapping moves by itself.
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

async fn move_data_keys(
    store: &Store,
    keyring: &Keyring,
    run: &mut RewrapRun,
    misplaced: &[DataKeyRow],
    tell: &mut impl FnMut(RewrapProgress),
) -> Result<(), Error> {
    let mut done = 0_usize;
    for rows in misplaced.chunks(DATA_KEYS) {
        for row in rows {
            match patiently(async || keyring.rewrap(row).await).await {
                Ok(true) => run.moved = run.moved.saturating_add(1),
                // Somebody else moved it meanwhile.
                Ok(false) => {}
                Err(error) if error.reason() == Reason::RecordCorrupt => {
                    tracing::error!(data_key = ?row.id, kms_key = row.kms_key_arn, ?error, "a data key cannot be moved");
                    run.refused = run.refused.saturating_add(1);
                }
                Err(error) => return Err(error),
            }
            run.bucket = row.id.bucket;
        }
        patiently(async || store.save_rewrap(run, false).await).await?;
        done = done.saturating_add(rows.len());
        tell(RewrapProgress {
            done: count(done),
            total: count(misplaced.len()),
            moved: run.moved,
        });
    }
    Ok(())
}

async fn move_records(
    store: &Store,
    keyring: &Keyring,
    run: &mut RewrapRun,
    tell: &mut impl FnMut(RewrapProgress),
) -> Result<(), Error> {
    for bucket in run.bucket..BUCKETS {
        run.bucket = bucket;
        let successor = match run.after {
            // The run before made it, or a process that serves has made a newer one since.
            Some(_) => patiently(async || keyring.active_of(bucket).await).await?,
            None => patiently(async || keyring.succeed(bucket).await).await?,
        };
        let mut after = run.after.unwrap_or(Uuid::nil());
        loop {
            run.after = Some(after);
            patiently(async || store.save_rewrap(run, false).await).await?;
            tell(RewrapProgress {
                done: u64::from(bucket),
                total: u64::from(BUCKETS),
                moved: run.moved,
            });
            let records =
                patiently(async || store.records_of_bucket(bucket, Some(after), BATCH).await)
                    .await?;
            let Some((last, _)) = records.last() else {
                break;
            };
            after = *last;
            let mut resealed = Vec::with_capacity(records.len());
            for (key_id, record) in records {
                let sealed = match &record {
                    Ok(record) => {
                        patiently(async || keyring.reseal(record, &successor).await).await
                    }
                    Err(error) => Err(error.repeated()),
                };
                match (record, sealed) {
                    (Ok(record), Ok(sealed)) => resealed.push((record, sealed)),
                    (_, Err(error)) if error.reason() != Reason::RecordCorrupt => {
                        return Err(error);
                    }
                    (_, outcome) => {
                        tracing::error!(%key_id, error = ?outcome.err(), "a record cannot be re-sealed");
                        run.refused = run.refused.saturating_add(1);
                    }
                }
            }
            let moved = patiently(async || store.reseal(successor.id, &resealed).await).await?;
            run.moved = run.moved.saturating_add(moved);
        }
        run.after = None;
    }
    tell(RewrapProgress {
        done: u64::from(BUCKETS),
        total: u64::from(BUCKETS),
        moved: run.moved,
    });
    Ok(())
}

/// An outage is waited for, for a while; what was done so far is kept.
async fn patiently<T>(mut step: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match step().await {
            Err(error)
                if attempt < ATTEMPTS
                    && matches!(
                        error.reason(),
                        Reason::KmsUnavailable | Reason::StoreUnavailable
                    ) =>
            {
                tracing::warn!(?error, attempt, "the rewrap waits");
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
