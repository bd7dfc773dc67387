//! Sealing a record under a data key that is active at the commit.
//!
//! Invariants:
//! - The data key is fetched before the transaction: no KMS call happens inside one.
//! - The data key's row is locked before anything is sealed under it, so `byokd rewrap` cannot retire it in between.
//! - A data key that was retired meanwhile, or whose row differs since a restore, is read again and the lock taken again:
//!   the change is never lost.
//!
//! Not here: re-sealing (`rewrap`).

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use uuid::Uuid;

use super::changes::Changes;
use crate::{
    domain::{
        envelope::{self, DataKey, RecordContext},
        error::{Error, Reason},
        names::{ProviderName, Scope},
        secret::ApiKey,
        workspace::Binding,
    },
    store::ChangeTransaction,
};

/// How often the lock is taken with another data key, because the one before was retired meanwhile.
const ATTEMPTS: usize = 3;

/// A locked data key, and the place whose records it seals.
pub struct Sealing {
    data_key: Arc<DataKey>,
    deployment: Uuid,
    scope: Scope,
    now: OffsetDateTime,
}

impl Sealing {
    /// Locks the holder and its data key.
    pub(super) async fn begin(
        changes: &Changes,
        scope: &Scope,
    ) -> Result<(ChangeTransaction, Self), Error> {
        let (store, keyring) = (&changes.store, &changes.keyring);
        let mut data_key = keyring.active(scope).await?;
        for _ in 0..ATTEMPTS {
            let mut change = store.begin(scope).await?;
            let wrapped = change.lock_data_key(data_key.id).await?;
            if wrapped.is_some_and(|wrapped| keyring.is_current(&data_key, &wrapped)) {
                let sealing = Self {
                    data_key,
                    deployment: store.deployment(),
                    scope: scope.clone(),
                    now: changes.clock.now(),
                };
                return Ok((change, sealing));
            }
            drop(change);
            data_key = keyring.renew_active(scope, data_key.id).await?;
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "the data keys are being rotated; try again",
        )
        .retry_after(Duration::from_secs(1)))
    }

    /// The time of the change.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Seals a key in its place.
    pub fn seal(
        &self,
        provider: &ProviderName,
        key_id: Uuid,
        generation: u64,
        binding: &Binding,
        key: &ApiKey,
    ) -> Result<Vec<u8>, Error> {
        let context = RecordContext {
            deployment: self.deployment,
            scope: &self.scope,
            provider,
            key_id,
            generation,
            binding,
        };
        envelope::seal(&self.data_key, &context, key).map_err(Error::internal)
    }
}
