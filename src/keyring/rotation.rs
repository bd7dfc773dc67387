//! Moving data keys to another KMS key, and records to other data keys.
//!
//! Invariants: a data key's wrapping is replaced only if it is still what was read; its successor is committed before
//! anything is sealed under it. Resealing has a provider key in the clear here only, for that moment.
//!
//! Not here: the order of work, and how far it has come (`rewrap`).

use std::sync::Arc;

use super::{Keyring, corrupt::corrupt, create::Candidate};
use crate::{
    domain::{
        envelope::{self, DataKey, RecordContext},
        error::{Error, Reason},
    },
    kms::Wrapped,
    store::{DataKeyRow, SealedRecord},
};

/// How often a successor is made when others make one of the same version.
const ATTEMPTS: usize = 3;

impl Keyring {
    /// The KMS key that wraps new data keys, as the KMS names it now.
    pub async fn current_kms_key(&self) -> Result<String, Error> {
        self.kms.look_up().await.all()?;
        Ok(self.kms.current())
    }

    /// Whether the KMS can rewrap this data key by itself: its KMS key is still configured, and is of the current kind
    /// and region.
    pub fn can_rewrap(&self, row: &DataKeyRow) -> bool {
        self.kms.can_rewrap(&row.kms_key_arn)
    }

    /// Whether this data key is what the row that is wrapped like this is known to hold. After the database was restored,
    /// another replica may have made one of the same name; records sealed under the earlier one would not open elsewhere.
    pub fn is_current(&self, data_key: &Arc<DataKey>, wrapped: &[u8]) -> bool {
        self.held
            .row_of(data_key)
            .is_some_and(|row| row.wrapped == wrapped)
    }

    /// Proves that the current KMS key wraps and unwraps, by a data key that is thrown away.
    pub async fn prove_kms_key(&self) -> Result<(), Error> {
        Ok(self.kms.preflight(self.store.deployment()).await?)
    }

    /// Moves a data key under the current KMS key. `false`: another process moved it meanwhile.
    pub async fn rewrap(&self, row: &DataKeyRow) -> Result<bool, Error> {
        let wrapped = Wrapped {
            blob: row.wrapped.clone(),
            kms_key_arn: row.kms_key_arn.clone(),
        };
        let moved = self.kms.rewrap(&wrapped, self.context(row.id)).await?;
        let after = DataKeyRow {
            wrapped: moved.blob,
            kms_key_arn: moved.kms_key_arn,
            ..row.clone()
        };
        self.store.replace_wrapping(row, after).await
    }

    /// The data key that seals the records of this bucket.
    pub async fn active_of(&self, bucket: u16) -> Result<Arc<DataKey>, Error> {
        let id = self.store.active_data_key(bucket).await?;
        self.get(id.ok_or_else(|| corrupt("a bucket without an active data key"))?)
            .await
    }

    /// Makes a successor of the bucket's active data key, which seals from now on.
    pub async fn succeed(&self, bucket: u16) -> Result<Arc<DataKey>, Error> {
        for _ in 0..ATTEMPTS {
            self.read_rows().await?;
            let id = self.held.unused(bucket);
            let Candidate { row, secret, at } = self.candidate(id).await?;
            if self
                .store
                .succeed_data_key(row.clone(), self.clock.now())
                .await?
            {
                let key = DataKey::new(id, &secret)
                    .ok_or_else(|| corrupt("a data key of the wrong length"))?;
                let key = Arc::new(key);
                self.held.observe(row.clone());
                self.held.put(&row, Arc::clone(&key), at);
                return Ok(key);
            }
            // A process that serves made one of this version meanwhile.
        }
        Err(Error::new(
            Reason::StoreUnavailable,
            "other processes keep making data keys; run it again",
        ))
    }

    /// Opens a record and seals it again for the same place.
    pub async fn reseal(&self, record: &SealedRecord, under: &DataKey) -> Result<Vec<u8>, Error> {
        let context = RecordContext {
            deployment: self.store.deployment(),
            scope: &record.scope,
            provider: &record.provider,
            key_id: record.key_id,
            generation: record.generation,
            binding: &record.binding,
        };
        let api_key = self.open_record(&context, &record.sealed).await?;
        envelope::seal(under, &context, &api_key).map_err(Error::internal)
    }
}
