//! Sealing a record, under a data key that is active at the commit.
//!
//! Invariants: the data key is fetched before the transaction, since no KMS call happens inside one; its row is locked
//! in the transaction before anything is sealed under it, so that `byokd rewrap` cannot retire it in between. One that
//! was retired meanwhile, or whose row is another one since the database was restored, is read again, and the change
//! begins anew: it is never lost.
//!
//! Absent: re-sealing (`rewrap`).

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::AppState;
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

/// How often a change begins anew because its data key was retired meanwhile.
const ATTEMPTS: usize = 3;

/// What sealing needs.
pub(super) struct Sealing {
    data_key: Arc<DataKey>,
    deployment: Uuid,
    scope: Scope,
    now: time::OffsetDateTime,
}

impl Sealing {
    /// Begins a change that will seal records of this holder.
    pub(super) async fn begin(
        state: &AppState,
        scope: &Scope,
    ) -> Result<(ChangeTransaction, Self), Error> {
        let mut data_key = state.keyring.active(scope).await?;
        for _ in 0..ATTEMPTS {
            let mut change = state.store.begin(scope).await?;
            let wrapped = change.lock_data_key(data_key.id).await?;
            if wrapped.is_some_and(|wrapped| state.keyring.is_current(&data_key, &wrapped)) {
                let (deployment, now) = (state.store.deployment(), state.clock.now());
                return Ok((
                    change,
                    Self {
                        data_key,
                        deployment,
                        scope: scope.clone(),
                        now,
                    },
                ));
            }
            drop(change);
            data_key = state.keyring.renew_active(scope, data_key.id).await?;
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "the data keys are being rotated; try again",
        )
        .retry_after(Duration::from_secs(1)))
    }

    /// The moment of the change.
    pub(super) fn now(&self) -> time::OffsetDateTime {
        self.now
    }

    /// Seals a key in its place.
    pub(super) fn seal(
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
