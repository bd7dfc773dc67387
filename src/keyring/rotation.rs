//! Moving data keys to another KMS key, and records to other data keys.
//!
//! Invariants: a data key's wrapping is replaced only if it is still what was read; its successor is committed before
//! anything is sealed under it. A provider key that is sealed anew is in the clear here only, for that moment.
//!
//! Absent: the order of work, and how far it has come (`ops::rewrap`).

use std::sync::Arc;

use time::OffsetDateTime;

use super::{Keyring, corrupt, not_openable};
use crate::{
    domain::{
        envelope::{self, DataKey, DataKeyId, RecordContext},
        error::{Error, Reason},
    },
    kms::Wrapped,
    store::{DataKeyRow, SealedRecord},
};

impl Keyring {
    /// The KMS key that wraps new data keys, as the KMS names it now.
    pub async fn current_kms_key(&self) -> Result<String, Error> {
        todo!()
    }

    /// Proves that the current KMS key wraps and unwraps, by a data key that is thrown away.
    pub async fn prove_kms_key(&self) -> Result<(), Error> {
        todo!()
    }

    /// Moves a data key under the current KMS key. False: it was moved by somebody else meanwhile.
    pub async fn rewrap(&self, row: &DataKeyRow) -> Result<bool, Error> {
        todo!()
    }

    /// The data key that seals the records of this bucket.
    pub async fn active_of(&self, bucket: u16) -> Result<Arc<DataKey>, Error> {
        let id = self.store.active_data_key(bucket).await?;
        self.get(id.ok_or_else(|| corrupt("a bucket without an active data key"))?).await
    }

    /// Makes a successor of the bucket's active data key, which seals from now on.
    pub async fn succeed(&self, bucket: u16, now: OffsetDateTime) -> Result<Arc<DataKey>, Error> {
        todo!()
    }

    /// Opens a record in its place and seals it anew, in the same place.
    pub async fn reseal(&self, record: &SealedRecord, under: &DataKey) -> Result<Vec<u8>, Error> {
        let context = RecordContext {
            deployment: self.store.deployment(),
            scope: &record.scope,
            provider: &record.provider,
            key_id: record.key_id,
            generation: record.generation,
            binding: &record.binding,
        };
        let data_key = self.get(envelope::data_key_of(&record.sealed).map_err(not_openable)?).await?;
        let api_key = envelope::open(&data_key, &context, &record.sealed).map_err(not_openable)?;
        envelope::seal(under, &context, &api_key).map_err(Error::internal)
    }
}
