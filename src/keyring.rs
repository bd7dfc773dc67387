//! The data keys, in memory: created once, unwrapped when needed, warmed in the background.
//!
//! Invariants: nothing is sealed under a data key whose row is not committed, so a new key is read back before it is
//! used, and of two creators the loser drops its own. A key in memory is used for at most `MAX_AGE` from its load,
//! however hot it is. Misses of many callers make one call to the KMS.
//!
//! Absent: opened provider keys, which nobody caches, and refreshing through an outage of the KMS.

mod rotation;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    domain::{
        clock::Clock,
        envelope::{self, DataKey, DataKeyId, EnvelopeFault, RecordContext},
        error::{Error, Reason},
        names::{ProviderName, Scope},
        secret::ApiKey,
        workspace::StoredKey,
    },
    kms::{EncryptionContext, Kms, Wrapped},
    store::{DataKeyRow, Store},
};

/// How many buckets the workspaces are spread over.
pub const BUCKETS: u16 = 256;
/// For how long an unwrapped data key is used.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// How many data keys are created in one transaction.
const BATCH: usize = 32;

/// The data keys of this process.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<Store>,
    kms: Kms,
    clock: Clock,
    held: RwLock<Held>,
    /// Held while missing keys are fetched or made, so that one caller does it for all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    keys: HashMap<DataKeyId, Loaded>,
    /// Bucket → the version that seals.
    active: HashMap<u16, u32>,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<DataKey>,
    at: Duration,
}

impl Keyring {
    /// A keyring that holds nothing yet. Refuses if active data keys rest on a KMS key that is not allowed.
    pub async fn open(store: Arc<Store>, kms: Kms, clock: Clock) -> Result<Self, Error> {
        let rows = store.data_keys().await?;
        if let Some(row) = rows.iter().find(|row| row.active && !kms.allows(&row.kms_key_arn)) {
            return Err(Error::new(
                Reason::KmsUnavailable,
                format!(
                    "the database's data keys are under the KMS key {}, which is neither kms.key nor one of \
                     kms.previous_keys; name it there, or restore the key file that belongs to this database",
                    row.kms_key_arn
                ),
            ));
        }
        let keyring =
            Self { store, kms, clock, held: RwLock::default(), fetching: tokio::sync::Mutex::default() };
        keyring.refuse_another_key(rows).await?;
        Ok(keyring)
    }

    /// Refuses a KMS key of the right name that unwraps none of the data keys: new ones would be made under it.
    async fn refuse_another_key(&self, rows: Vec<DataKeyRow>) -> Result<(), Error> {
        let mut refused = None;
        for row in rows.into_iter().filter(|row| row.active) {
            match self.hold(row).await {
                Err(error) if error.reason() == Reason::RecordCorrupt => refused = Some(error),
                // One that unwraps is proof enough; and an outage is no proof of anything.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
        match refused {
            Some(error) => Err(Error::new(
                Reason::KmsUnavailable,
                "the KMS key has the right name but unwraps none of the database's data keys: it is another key; \
                 restore the one that belongs to this database",
            )
            .caused_by(error)),
            None => Ok(()),
        }
    }

    /// Creates every missing data key and holds all of them.
    pub async fn warm_up(&self) -> Result<(), Error> {
        let _one = self.fetching.lock().await;
        let rows = self.store.data_keys().await?;
        let missing: Vec<u16> = (0..BUCKETS)
            .filter(|bucket| !rows.iter().any(|row| row.active && row.id.bucket == *bucket))
            .collect();
        for batch in missing.chunks(BATCH) {
            self.create(batch).await?;
        }
        let mut failure = None;
        for row in self.store.data_keys().await? {
            // One damaged row must not keep the others cold.
            failure = self.hold(row).await.err().or(failure);
        }
        failure.map_or(Ok(()), Err)
    }

    /// The data key that seals new records of a holder.
    pub async fn active(&self, scope: &Scope) -> Result<Arc<DataKey>, Error> {
        let bucket = bucket(scope);
        if let Some(key) = self.held_active(bucket) {
            return Ok(key);
        }
        let _one = self.fetching.lock().await;
        if let Some(key) = self.held_active(bucket) {
            return Ok(key);
        }
        if let Some(row) = self.active_row(bucket).await? {
            return self.hold(row).await;
        }
        self.create(&[bucket]).await?;
        let row =
            self.active_row(bucket).await?.ok_or_else(|| Error::internal("a new data key is not there"))?;
        self.hold(row).await
    }

    /// TEMP
    pub async fn renew_active(&self, scope: &Scope) -> Result<Arc<DataKey>, Error> {
        self.active(scope).await
    }

    /// The data key of this name.
    pub async fn get(&self, id: DataKeyId) -> Result<Arc<DataKey>, Error> {
        if let Some(key) = self.held(id) {
            return Ok(key);
        }
        let _one = self.fetching.lock().await;
        if let Some(key) = self.held(id) {
            return Ok(key);
        }
        let row = self
            .store
            .data_key(id)
            .await?
            .ok_or_else(|| corrupt("a record names a data key that is not there"))?;
        self.hold(row).await
    }

    /// Opens a stored key in its place. The opened key is the caller's alone; it is not kept here.
    pub async fn open_key(
        &self,
        scope: &Scope,
        provider: &ProviderName,
        key: &StoredKey,
    ) -> Result<ApiKey, Error> {
        let data_key = self.get(envelope::data_key_of(&key.sealed).map_err(not_openable)?).await?;
        let context = RecordContext {
            deployment: self.store.deployment(),
            scope,
            provider,
            key_id: key.key_id,
            generation: key.generation,
            binding: &key.binding,
        };
        envelope::open(&data_key, &context, &key.sealed).map_err(not_openable)
    }

    async fn active_row(&self, bucket: u16) -> Result<Option<DataKeyRow>, Error> {
        let rows = self.store.data_keys().await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.active && row.id.bucket == bucket)
            .max_by_key(|row| row.id.version))
    }

    /// Makes the first data key of each bucket. Another replica may win; the rows tell.
    async fn create(&self, buckets: &[u16]) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            let id = DataKeyId { bucket: *bucket, version: 1 };
            let (_dropped, wrapped) = self.kms.generate(self.context(id)).await?;
            rows.push(DataKeyRow {
                id,
                wrapped: wrapped.blob,
                kms_key_arn: wrapped.kms_key_arn,
                active: true,
            });
        }
        self.store.insert_data_keys(rows, self.clock.now()).await
    }

    async fn hold(&self, row: DataKeyRow) -> Result<Arc<DataKey>, Error> {
        let at = self.clock.elapsed();
        let wrapped = Wrapped { blob: row.wrapped, kms_key_arn: row.kms_key_arn };
        let secret = self.kms.unwrap(&wrapped, self.context(row.id)).await?;
        let key = DataKey::new(row.id, &secret).ok_or_else(|| corrupt("a data key of the wrong length"))?;
        let key = Arc::new(key);
        let mut held = self.write();
        held.keys.insert(row.id, Loaded { key: Arc::clone(&key), at });
        if row.active {
            let version = held.active.entry(row.id.bucket).or_insert(row.id.version);
            *version = (*version).max(row.id.version);
        }
        Ok(key)
    }

    fn held_active(&self, bucket: u16) -> Option<Arc<DataKey>> {
        let version = self.read().active.get(&bucket).copied()?;
        self.held(DataKeyId { bucket, version })
    }

    fn held(&self, id: DataKeyId) -> Option<Arc<DataKey>> {
        let held = self.read();
        let loaded = held.keys.get(&id)?;
        let age = self.clock.elapsed().saturating_sub(loaded.at);
        (age < MAX_AGE).then(|| Arc::clone(&loaded.key))
    }

    fn context(&self, data_key: DataKeyId) -> EncryptionContext {
        EncryptionContext { deployment: self.store.deployment(), data_key }
    }

    // No code panics while it holds the lock, so a poisoned one still holds good keys.
    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The bucket of a holder: the first byte of a SHA-256, so that it stays what it is for ever.
fn bucket(scope: &Scope) -> u16 {
    let text = format!("{}:{}", scope.kind(), scope.workspace_id());
    digest(&SHA256, text.as_bytes()).as_ref().first().copied().map_or(0, u16::from)
}

fn not_openable(fault: EnvelopeFault) -> Error {
    corrupt("the sealed record does not open").with("fault", fault.to_string())
}

fn corrupt(cause: &'static str) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        "the stored key does not open in its place: the record was damaged or moved; set the key again, and tell \
         the operator",
    )
    .caused_by(cause)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{
        domain::names::WorkspaceId,
        kms::LocalKms,
        store::{Duty, Settings},
    };

    fn workspace(id: &str) -> Scope {
        Scope::Workspace(WorkspaceId::parse(id).unwrap())
    }

    #[test]
    fn a_bucket_stays_what_it_is_for_ever() {
        let rows = [(Scope::Platform, 51), (workspace("acme"), 197), (workspace("globex"), 134)];
        for (scope, expected) in rows {
            assert_eq!(bucket(&scope), expected, "{scope:?}");
        }
    }

    struct World {
        folder: tempfile::TempDir,
        clock: Clock,
        store: Arc<Store>,
    }

    impl World {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            LocalKms::create(&folder.path().join("kms.key")).unwrap();
            let url = format!("sqlite:{}", folder.path().join("byokd.db").display());
            let store = Arc::new(Store::open(&Settings::at(&url), Duty::Serve).await.unwrap());
            Self { folder, clock: Clock::manual(datetime!(2030-06-15 12:00 UTC)), store }
        }

        async fn open(&self) -> Keyring {
            let kms = Kms::Local(LocalKms::open(&self.folder.path().join("kms.key"), &[]).unwrap());
            Keyring::open(Arc::clone(&self.store), kms, self.clock.clone()).await.unwrap()
        }
    }

    /// A KMS that takes its key back is obeyed.
    #[tokio::test]
    async fn a_data_key_is_unwrapped_anew_after_fifteen_minutes_however_hot_it_is() {
        let (world, acme) = (World::new().await, workspace("acme"));
        let ring = world.open().await;
        let first = ring.active(&acme).await.unwrap();
        for _ in 0..14 {
            world.clock.advance(Duration::from_secs(60));
            assert!(Arc::ptr_eq(&first, &ring.active(&acme).await.unwrap()));
        }
        world.clock.advance(Duration::from_secs(60));
        let second = ring.active(&acme).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && first.id == second.id);
        assert!(Arc::ptr_eq(&second, &ring.get(second.id).await.unwrap()));
    }

    #[tokio::test]
    async fn the_newest_active_data_key_seals_and_one_that_is_damaged_keeps_none_cold() {
        let world = World::new().await;
        let (acme, ring) = (workspace("acme"), world.open().await);
        // What stands first is held from the start; acme's is not.
        ring.active(&workspace("globex")).await.unwrap();
        assert_eq!(ring.active(&acme).await.unwrap().id.version, 1);
        for (version, active) in [(2, true), (3, false), (4, false)] {
            let id = DataKeyId { bucket: bucket(&acme), version };
            let (_, mut wrapped) = ring.kms.generate(ring.context(id)).await.unwrap();
            if version == 4 {
                wrapped.blob.pop();
            }
            let row = DataKeyRow { id, wrapped: wrapped.blob, kms_key_arn: wrapped.kms_key_arn, active };
            world.store.insert_data_keys(vec![row], world.clock.now()).await.unwrap();
        }
        assert_eq!(world.open().await.active(&acme).await.unwrap().id.version, 2);
        let ring = world.open().await;
        assert_eq!(ring.warm_up().await.unwrap_err().reason(), Reason::RecordCorrupt);
        assert_eq!(ring.active(&acme).await.unwrap().id.version, 2);
        assert!((0..BUCKETS).all(|bucket| ring.held_active(bucket).is_some()));
    }
}
