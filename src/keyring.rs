//! The data keys, in memory: created once, unwrapped in the background, kept through an outage of the KMS.
//!
//! Invariants: nothing is sealed under a data key whose row is not committed; of two creators the loser drops its own.
//! A key in memory is used for 15 minutes from its load, and up to 75 as long as its KMS key fails as in an outage,
//! however hot it is. At most one KMS call runs for the data keys of a bucket. A KMS key that
//! was taken back takes its data keys with it; one that is a stranger's is asked nothing.
//!
//! Not here: opened provider keys; byokd does not cache them.

mod bucket;
mod corrupt;
mod create;
mod entry;
mod health;
mod held;
mod lane;
mod open;
mod proof;
mod refresh;
mod rotation;

use std::{sync::Arc, time::Duration};

pub use bucket::BUCKETS;

use self::{
    bucket::bucket,
    corrupt::corrupt,
    entry::Found,
    health::Health,
    held::Held,
    lane::{Lanes, Wanted},
    refresh::{Rounds, Strangers},
};
use crate::{
    domain::{
        clock::Clock,
        envelope::{DataKey, DataKeyId},
        error::{Error, Reason},
        names::Scope,
    },
    kms::{Allowed, EncryptionContext, Kms, KmsError, Wrapped},
    store::{DataKeyRow, Store},
};

/// How long the start waits for proof that the KMS key is the right one.
const PROOF: Duration = Duration::from_secs(5);

/// The data keys of this process.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<Store>,
    kms: Kms,
    clock: Clock,
    held: Held,
    health: Health,
    lanes: Lanes,
    rounds: tokio::sync::Mutex<Rounds>,
    strangers: tokio::sync::Mutex<Strangers>,
    /// Held while rows are read and taken note of, so that an older reading never undoes a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// A keyring that holds next to nothing yet. Refuses if active data keys rest on a KMS key that is not allowed.
    pub async fn open(store: Arc<Store>, kms: Kms, clock: Clock) -> Result<Self, Error> {
        let rounds = Rounds::new(clock.elapsed(), kms.is_looked_up());
        let keyring = Self {
            store,
            kms,
            clock,
            held: Held::default(),
            health: Health::default(),
            lanes: Lanes::new(),
            rounds: tokio::sync::Mutex::new(rounds),
            strangers: tokio::sync::Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        };
        let mut rows = keyring.store.data_keys().await?;
        rows.retain(|row| row.active);
        if let Some(row) = rows
            .iter()
            .find(|row| keyring.kms.allows(&row.kms_key_arn) == Allowed::No)
        {
            return Err(Error::new(
                Reason::KmsUnavailable,
                format!(
                    "the database's data keys are under the KMS key {}, which is neither kms.key nor one of \
                     kms.previous_keys; name it there, or restore the key file that belongs to this database",
                    row.kms_key_arn
                ),
            ));
        }
        keyring.read_rows().await?;
        // A slow KMS is no proof of anything, and no reason not to start.
        tokio::time::timeout(PROOF, keyring.refuse_another_key(rows))
            .await
            .unwrap_or(Ok(()))?;
        Ok(keyring)
    }

    /// The data key that seals new records of a holder.
    pub async fn active(&self, scope: &Scope) -> Result<Arc<DataKey>, Error> {
        let bucket = bucket(scope);
        let ready = || self.ready(self.held.active(bucket)?);
        if let Some(key) = ready() {
            return Ok(key);
        }
        let known = self.held.active(bucket);
        self.refuse_closed(known)?;
        let work = Box::pin(async {
            match (self.read_rows().await, known) {
                // Without the database, what was known must do.
                (Ok(()), _) | (Err(_), Some(_)) => self.active_anew(bucket).await,
                (Err(error), None) => Err(error),
            }
        });
        self.lanes
            .of(bucket)?
            .run(Wanted::Active, ready, work)
            .await
    }

    /// The same, after the store said that this one seals no more: its bucket's rows are read again, unless another one
    /// is known by now.
    pub async fn renew_active(
        &self,
        scope: &Scope,
        retired: DataKeyId,
    ) -> Result<Arc<DataKey>, Error> {
        let bucket = bucket(scope);
        let ready = || self.ready(self.held.active(bucket).filter(|id| *id != retired)?);
        let work = Box::pin(async {
            self.read_rows().await?;
            if let Some(key) = self.held.active(bucket).and_then(|id| self.ready(id)) {
                return Ok(key);
            }
            self.active_anew(bucket).await
        });
        self.lanes
            .of(bucket)?
            .run(Wanted::Active, ready, work)
            .await
    }

    /// The data key of this name.
    pub async fn get(&self, id: DataKeyId) -> Result<Arc<DataKey>, Error> {
        match self.ready(id) {
            Some(key) => Ok(key),
            // In a box, so that the many calls whose data key is held do not carry the room for it.
            None => Box::pin(self.fetched(id)).await,
        }
    }

    async fn fetched(&self, id: DataKeyId) -> Result<Arc<DataKey>, Error> {
        let ready = || self.ready(id);
        self.refuse_closed(Some(id))?;
        let work = Box::pin(async {
            let row = match self.store.data_key(id).await {
                Ok(Some(row)) => row,
                Ok(None) => return Err(corrupt("a record names a data key that is not there")),
                // Without the database, what was known must do.
                Err(error) => self.held.row(id).ok_or(error)?,
            };
            self.held.observe(row.clone());
            self.load_or_spare(row).await
        });
        self.lanes
            .of(id.bucket)?
            .run(Wanted::This(id), ready, work)
            .await
    }

    /// The data key that seals in a bucket, made if there is none. The caller holds the lane and has read the rows.
    async fn active_anew(&self, bucket: u16) -> Result<Arc<DataKey>, Error> {
        if self.held.active(bucket).is_none() {
            if let Some(error) = self.health.closed(&self.kms.current()) {
                return Err(error.into());
            }
            self.create(&[bucket]).await?;
        }
        let id = self
            .held
            .active(bucket)
            .ok_or_else(|| Error::internal("a new data key is not there"))?;
        if let Found::Fresh(key) = self.held.find(id, self.clock.elapsed()) {
            return Ok(key);
        }
        let row = self
            .held
            .row(id)
            .ok_or_else(|| Error::internal("a data key's row is not there"))?;
        self.load_or_spare(row).await
    }

    /// A data key that may be used as it is held.
    fn ready(&self, id: DataKeyId) -> Option<Arc<DataKey>> {
        match self.held.find(id, self.clock.elapsed()) {
            Found::Fresh(key) => Some(key),
            Found::Stale(key, under) => {
                // Of a row that moved, the KMS key that it moved to is the one that is asked.
                let moved = under.row != under.loaded
                    && !self.health.has_bad_state(&under.loaded)
                    && (under.refused || self.health.spares(&under.row));
                (moved || self.health.spares(&under.loaded)).then_some(key)
            }
            Found::Nothing => None,
        }
    }

    /// Unwraps a row; if that fails as in an outage, what is held of it is used.
    async fn load_or_spare(&self, row: DataKeyRow) -> Result<Arc<DataKey>, Error> {
        let id = row.id;
        if self.held.is_damaged(id, self.clock.elapsed()) {
            return self
                .ready(id)
                .ok_or_else(|| corrupt("its data key was found damaged a moment ago"));
        }
        match self.load(row).await {
            Ok(key) => Ok(key),
            Err(error) => self.ready(id).ok_or(error),
        }
    }

    /// Unwraps a row and holds the data key, unless its KMS key is closed. The caller holds the lane.
    async fn load(&self, row: DataKeyRow) -> Result<Arc<DataKey>, Error> {
        match self.health.closed(&row.kms_key_arn) {
            Some(error) => Err(error.into()),
            None => self.unwrap_and_hold(row).await,
        }
    }

    async fn unwrap_and_hold(&self, row: DataKeyRow) -> Result<Arc<DataKey>, Error> {
        let (at, id) = (self.clock.elapsed(), row.id);
        let is_strangers = match self.is_strangers(&row.kms_key_arn).await {
            Ok(is_strangers) => is_strangers,
            Err(error) => {
                self.noted(&row.kms_key_arn, &error);
                return Err(error.into());
            }
        };
        let wrapped = Wrapped {
            blob: row.wrapped.clone(),
            kms_key_arn: row.kms_key_arn.clone(),
        };
        let error = match self.kms.unwrap(&wrapped, self.context(id)).await {
            Ok(secret) => match DataKey::new(id, &secret) {
                Some(key) => {
                    let key = Arc::new(key);
                    self.health.succeeded(&row.kms_key_arn);
                    self.hold(&row, &key, at)?;
                    return Ok(key);
                }
                None => corrupt("a data key of the wrong length"),
            },
            Err(error) => {
                self.noted(&row.kms_key_arn, &error);
                Error::from(error)
            }
        };
        let is_news = error.reason() == Reason::RecordCorrupt
            && if is_strangers {
                self.held.refused(id, at)
            } else {
                self.held.damaged(id, at)
            };
        if is_news {
            let DataKeyId { bucket, version } = id;
            tracing::error!(
                bucket,
                version,
                ?error,
                "a data key does not unwrap; what it sealed opens no longer than a key that is held lasts"
            );
        }
        Err(error)
    }

    /// Holds a data key, unless its KMS key is closed: one that is described as unusable is, though it still unwraps.
    fn hold(&self, row: &DataKeyRow, key: &Arc<DataKey>, at: Duration) -> Result<(), Error> {
        self.held.put(row, Arc::clone(key), at);
        // Asked afterwards: who closes it at this moment either is seen here or drops what was put.
        match self.health.closed(&row.kms_key_arn) {
            Some(error) => {
                self.held.forget_under(&row.kms_key_arn);
                Err(error.into())
            }
            None => Ok(()),
        }
    }

    /// Takes note of a failure; a KMS key that it closes takes its data keys with it.
    fn noted(&self, kms_key_arn: &str, error: &KmsError) {
        if self.health.failed(kms_key_arn, error, self.clock.elapsed()) {
            self.close(kms_key_arn, error);
        }
    }

    fn close(&self, kms_key_arn: &str, error: &KmsError) {
        let dropped = self.held.forget_under(kms_key_arn);
        tracing::error!(
            kms_key = kms_key_arn,
            dropped,
            %error,
            "the KMS key was taken back: its data keys are dropped, and what they sealed does not open until it is \
             enabled again"
        );
    }

    async fn read_rows(&self) -> Result<(), Error> {
        let _one = self.reading.lock().await;
        self.held.observe_all(self.store.data_keys().await?);
        Ok(())
    }

    fn context(&self, data_key: DataKeyId) -> EncryptionContext {
        EncryptionContext {
            deployment: self.store.deployment(),
            data_key,
        }
    }
}

#[cfg(test)]
mod tests;
