//! New data keys.
//!
//! Invariants: what the KMS returned as wrapped is what is stored; a row is committed and read back before its data key
//! is used. Whose row is another creator's drops its own and unwraps the winner's. No call to the KMS is made inside a
//! transaction.
//!
//! Not here: retiring data keys.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::{
    Keyring,
    refresh::{Work, at_once},
};
use crate::{
    domain::{
        envelope::{DataKey, DataKeyId},
        error::Error,
    },
    store::DataKeyRow,
};

/// A data key that may become one.
pub(super) struct Candidate {
    pub(super) row: DataKeyRow,
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// When it was asked for, on the clock's monotonic reading.
    pub(super) at: std::time::Duration,
}

impl Keyring {
    /// Makes an active data key in each of these buckets and holds those that won. The caller holds the lanes.
    pub(super) async fn create(&self, buckets: &[u16]) -> Result<(), Error> {
        let (made, failure) = (
            Mutex::new(Vec::with_capacity(buckets.len())),
            Mutex::new(None),
        );
        let make = |bucket: &u16| -> Work<'_> {
            let id = self.held.unused(*bucket);
            let (made, failure) = (&made, &failure);
            Box::pin(async move {
                if locked(failure).is_some() {
                    return;
                }
                match self.candidate(id).await {
                    Ok(candidate) => locked(made).push(candidate),
                    Err(error) => *locked(failure) = Some(error),
                }
            })
        };
        at_once(buckets.iter().map(make)).await;
        let mut made: Vec<Candidate> = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        // All processes insert in one order, so that none of two waits for the other.
        made.sort_by_key(|candidate| candidate.row.id);
        // Those that were made count, also if others failed.
        let rows = made.iter().map(|candidate| candidate.row.clone()).collect();
        self.store.insert_data_keys(rows, self.clock.now()).await?;
        self.read_rows().await?;
        for Candidate { row, secret, at } in made {
            let won = self
                .held
                .row(row.id)
                .is_some_and(|stored| stored.wrapped == row.wrapped);
            if won && let Some(key) = DataKey::new(row.id, &secret) {
                self.hold(&row, &Arc::new(key), at)?;
            }
        }
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Has the KMS make a data key.
    pub(super) async fn candidate(&self, id: DataKeyId) -> Result<Candidate, Error> {
        let (at, current) = (self.clock.elapsed(), self.kms.current());
        match self.kms.generate(self.context(id)).await {
            Ok((secret, wrapped)) => {
                self.health.succeeded(&current);
                let row = DataKeyRow {
                    id,
                    wrapped: wrapped.blob,
                    kms_key_arn: wrapped.kms_key_arn,
                    active: true,
                };
                Ok(Candidate { row, secret, at })
            }
            Err(error) => {
                self.noted(&current, &error);
                Err(error.into())
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
