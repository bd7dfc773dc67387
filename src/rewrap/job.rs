//! One rewrap: plan, claim, move, verify.

use super::{
    data_keys::{count, misplaced, move_data_keys},
    progress::{ClaimedRun, RewrapProgress},
    records::move_records,
};
use crate::{
    domain::error::{Error, Reason},
    keyring::Keyring,
    store::{RewrapRun, Store},
};

/// The objects that a rewrap moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewrapMode {
    /// Data keys, to the configured KMS key.
    KmsKey,
    /// Records, to new data keys.
    DataKeys,
}

/// The summary of a rewrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapSummary {
    /// The KMS key that wraps the data keys now.
    pub kms_key_arn: String,
    /// The data keys or records that were moved, or that a dry run would move.
    pub moved: u64,
    /// The damaged ones, which stay; the log names each.
    pub refused: u64,
    /// Whether an earlier run had begun it.
    pub resumed: bool,
}

impl RewrapMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::KmsKey => "kms_key",
            Self::DataKeys => "data_keys",
        }
    }
}

/// Moves everything that is not in its place. `dry_run` only counts; `restart` ignores the progress of an earlier run.
pub async fn rewrap(
    store: &Store,
    keyring: &Keyring,
    mode: RewrapMode,
    dry_run: bool,
    restart: bool,
    report: impl FnMut(RewrapProgress),
) -> Result<RewrapSummary, Error> {
    let kms_key_arn = keyring.current_kms_key().await?;
    let summary = |moved, refused, resumed| RewrapSummary {
        kms_key_arn: kms_key_arn.clone(),
        moved,
        refused,
        resumed,
    };
    let misplaced = match mode {
        RewrapMode::KmsKey => misplaced(store, keyring, &kms_key_arn).await?,
        RewrapMode::DataKeys => Vec::new(),
    };
    match mode {
        RewrapMode::DataKeys if dry_run => {
            return Ok(summary(store.count_records().await?, 0, false));
        }
        RewrapMode::KmsKey if dry_run || misplaced.is_empty() => {
            return Ok(summary(count(misplaced.len()), 0, false));
        }
        RewrapMode::KmsKey | RewrapMode::DataKeys => {}
    }
    // Before anything depends on the new KMS key, it must unwrap a key that it wrapped.
    keyring.prove_kms_key().await?;
    let claim = store.claim_rewrap(mode.as_str(), &kms_key_arn, restart);
    let mut claimed = ClaimedRun {
        store,
        keyring,
        run: claim.await?,
        report,
    };
    let run = &claimed.run;
    let resumed = run.bucket > 0 || run.after.is_some() || run.moved > 0;
    if resumed {
        tracing::warn!(
            bucket = run.bucket,
            "resuming an earlier run; give --restart to begin from the first bucket"
        );
    }
    let moved = match mode {
        RewrapMode::KmsKey => {
            // Data keys that were refused before are tried, and counted, again.
            claimed.run.refused = 0;
            move_data_keys(&mut claimed, &misplaced).await
        }
        RewrapMode::DataKeys => move_records(&mut claimed).await,
    };
    let run = &claimed.run;
    let done = match moved {
        Ok(()) => check_complete(store, mode, run).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        if let Err(error) = store.release_rewrap(run).await {
            tracing::warn!(
                ?error,
                "cannot release the rewrap; the next one waits until this run counts as dead"
            );
        }
        return Err(error);
    }
    store.save_rewrap(run, true).await?;
    Ok(summary(run.moved, run.refused, resumed))
}

/// Verifies the outcome, whatever the progress said: active data keys are under the KMS key, and no record is under a
/// retired data key.
async fn check_complete(store: &Store, mode: RewrapMode, run: &RewrapRun) -> Result<(), Error> {
    let arn = &run.kms_key_arn;
    let rows = store.data_keys().await?;
    let elsewhere = rows
        .iter()
        .filter(|row| row.active && row.kms_key_arn != *arn);
    let elsewhere = elsewhere.count();
    let unsealed = mode == RewrapMode::DataKeys && store.has_records_to_reseal().await?;
    if run.refused > 0 || (elsewhere == 0 && !unsealed) {
        return Ok(());
    }
    let records = match unsealed {
        true => ", and there are records under retired data keys",
        false => "",
    };
    Err(Error::new(
        Reason::StoreUnavailable,
        format!(
            "not everything was moved: {elsewhere} active data keys are under another KMS key than {arn}{records}; \
             run it again with --restart"
        ),
    ))
}
