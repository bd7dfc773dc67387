//! Opening what a data key sealed.
//!
//! Invariant: the opened key is the caller's alone; it is not kept here. A record that does not fit the data key of its
//! name is tried once more if that data key's row is another one by now: the database was restored, and another replica
//! made another one.
//!
//! Not here: sealing.

use std::sync::Arc;

use super::{Keyring, corrupt::not_openable};
use crate::domain::{
    envelope::{self, DataKey, EnvelopeFault, RecordContext},
    error::Error,
    names::{ProviderName, Scope},
    secret::ApiKey,
    workspace::StoredKey,
};

impl Keyring {
    /// Opens a stored key in its place. The opened key is the caller's alone; it is not kept here.
    pub async fn open_key(
        &self,
        scope: &Scope,
        provider: &ProviderName,
        key: &StoredKey,
    ) -> Result<ApiKey, Error> {
        let context = RecordContext {
            deployment: self.store.deployment(),
            scope,
            provider,
            key_id: key.key_id,
            generation: key.generation,
            binding: &key.binding,
        };
        self.open_record(&context, &key.sealed).await
    }

    /// Opens a sealed record in this place.
    pub(super) async fn open_record(
        &self,
        context: &RecordContext<'_>,
        sealed: &[u8],
    ) -> Result<ApiKey, Error> {
        let id = envelope::data_key_of(sealed).map_err(not_openable)?;
        let data_key = self.get(id).await?;
        match envelope::open(&data_key, context, sealed) {
            Err(fault @ EnvelopeFault::Commitment) => {
                let another = Box::pin(self.made_anew(&data_key))
                    .await?
                    .ok_or_else(|| not_openable(fault))?;
                envelope::open(&another, context, sealed).map_err(not_openable)
            }
            opened => opened.map_err(not_openable),
        }
    }

    /// The data key that has the name of this one, if its row is another one than this was made from.
    async fn made_anew(&self, held: &Arc<DataKey>) -> Result<Option<Arc<DataKey>>, Error> {
        match self.store.data_key(held.id).await? {
            Some(row) if !self.is_current(held, &row.wrapped) => {
                self.held.observe(row);
                self.get(held.id).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}
