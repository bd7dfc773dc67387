//! `Store`'s queries for data keys and `byokd rewrap`.
//!
//! Invariants: what changed since it was read stays as it is. A data key has a successor before it is retired.
//!
//! Not here: opening, sealing and wrapping (`rewrap`, `keyring`).

use sea_orm::DatabaseTransaction;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    open::Store,
    statements::{
        data_keys::{self, DataKeyRow},
        rewraps::{self, RewrapRun},
        sealed_records::{self, SealedRecord},
    },
};
use crate::domain::{
    envelope::DataKeyId,
    error::{Error, Reason},
};

impl Store {
    /// Reads every data key except damaged rows, which are logged.
    pub async fn data_keys(&self) -> Result<Vec<DataKeyRow>, Error> {
        let reads = self.database.reads();
        let list = data_keys::list(&reads);
        self.database.observe("load_data_keys", list).await
    }

    /// Reads one data key.
    pub async fn data_key(&self, id: DataKeyId) -> Result<Option<DataKeyRow>, Error> {
        let reads = self.database.reads();
        let find = data_keys::find(&reads, id);
        self.database.observe("load_data_key", find).await
    }

    /// Reads the id of the data key that seals the records of a bucket.
    pub async fn active_data_key(&self, bucket: u16) -> Result<Option<DataKeyId>, Error> {
        let active = data_keys::find_active(&self.database.reads(), bucket).await?;
        Ok(active.map(|row| row.id))
    }

    /// Inserts the data keys that are absent, in one transaction. Read them back to see which replica won.
    pub async fn insert_data_keys(
        &self,
        new: Vec<DataKeyRow>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        self.write("inserting data keys", async |tx| {
            data_keys::insert_absent(tx, new, now).await?;
            Ok(())
        })
        .await
    }

    /// Inserts the active successor of a bucket's data keys and retires those. Returns false if its version exists.
    pub async fn succeed_data_key(
        &self,
        successor: DataKeyRow,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let id = successor.id;
        self.write("replacing a data key", async |tx| {
            let inserted = data_keys::insert_absent(tx, [successor], now).await?;
            if inserted > 0 {
                data_keys::retire_others(tx, id, now).await?;
            }
            Ok(inserted > 0)
        })
        .await
    }

    /// Replaces the wrapping of a data key. Returns false if the data key changed since `before` was read.
    pub async fn replace_wrapping(
        &self,
        before: &DataKeyRow,
        after: DataKeyRow,
    ) -> Result<bool, Error> {
        self.write("replacing a wrapping", async |tx| {
            Ok(data_keys::replace_wrapping(tx, before, after).await?)
        })
        .await
    }

    /// Counts the sealed records of active keys.
    pub async fn count_records(&self) -> Result<u64, Error> {
        let count = async |tx: &DatabaseTransaction| Ok(sealed_records::count_all(tx).await?);
        let database = &self.database;
        database.read_long("counting the records", count).await
    }

    /// Whether a record is sealed under a data key that is not active.
    pub async fn has_records_to_reseal(&self) -> Result<bool, Error> {
        Ok(sealed_records::any_retired(&self.database.reads()).await?)
    }

    /// Reads records of a bucket whose data key is not active, by key id. A damaged row has an error for a record.
    pub async fn records_of_bucket(
        &self,
        bucket: u16,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<(Uuid, Result<SealedRecord, Error>)>, Error> {
        sealed_records::list_retired(&self.database.reads(), bucket, after, limit).await
    }

    /// Replaces the sealed bytes of records that did not change since they were read. All new ones are sealed under
    /// `data_key`. Returns how many were replaced.
    pub async fn reseal(
        &self,
        data_key: DataKeyId,
        records: &[(SealedRecord, Vec<u8>)],
    ) -> Result<u64, Error> {
        self.write("re-sealing records", async |tx| {
            let locked = data_keys::lock_active(tx, data_key).await?;
            if locked.is_none() {
                return Err(Error::new(
                    Reason::RevisionMismatch,
                    "the new data key was retired in the meantime; run the command again",
                ));
            }
            let mut count: u64 = 0;
            for (before, sealed) in records {
                let replaced = sealed_records::replace(tx, before, sealed, data_key).await?;
                count = count.saturating_add(replaced);
            }
            Ok(count)
        })
        .await
    }

    /// Claims the one rewrap that may run: resumes an unfinished run of this mode to this KMS key that is younger than a
    /// day, unless `restart`; else begins a new run.
    pub async fn claim_rewrap(
        &self,
        mode: &str,
        kms_key_arn: &str,
        restart: bool,
    ) -> Result<RewrapRun, Error> {
        self.write("claiming the rewrap", async |tx| {
            rewraps::claim(tx, mode, kms_key_arn, restart).await
        })
        .await
    }

    /// Saves the progress of a rewrap, which is its heartbeat.
    pub async fn save_rewrap(&self, run: &RewrapRun, finished: bool) -> Result<(), Error> {
        self.write("saving the progress of the rewrap", async |tx| {
            rewraps::save(tx, run, finished).await
        })
        .await
    }

    /// Releases the claim on the rewrap, so that the next process need not wait.
    pub async fn release_rewrap(&self, run: &RewrapRun) -> Result<(), Error> {
        self.write("releasing the rewrap", async |tx| {
            rewraps::release(tx, run).await
        })
        .await
    }

    /// Overwrites a data key's row, as an attacker with write access to the database could.
    #[cfg(test)]
    pub(crate) async fn overwrite_data_key(&self, row: DataKeyRow) {
        data_keys::overwrite(&self.database.writer.connections, row).await;
    }
}
