//! The keyring over a store of its own, a clock that the test moves, and a KMS that is a file or made at the wire.

mod moved;
mod outage;
mod rows;
mod taken_back;
mod warm_up;

use std::{num::NonZeroU32, path::PathBuf};

use time::macros::datetime;

use super::*;
use crate::{
    domain::{kms_key::KmsKeyName, names::WorkspaceId},
    kms::{
        AwsKms, AwsSettings, KeyFiles, LocalKms,
        fake_kms::{FakeKms, REGION},
    },
    store::{OpenMode, StoreSettings},
};

const ALIAS: &str = "alias/byokd";
const MINUTE: Duration = Duration::from_secs(60);

fn workspace(id: &str) -> Scope {
    Scope::Workspace(WorkspaceId::parse(id).unwrap())
}

/// One workspace for each bucket.
fn of_each_bucket() -> Vec<Scope> {
    let mut found = std::collections::BTreeMap::new();
    for n in 0.. {
        let scope = workspace(&format!("w{n}"));
        found.entry(bucket(&scope)).or_insert(scope);
        if found.len() == usize::from(BUCKETS) {
            break;
        }
    }
    found.into_values().collect()
}

struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    store: Arc<Store>,
    fake: FakeKms,
    /// The KMS key that the alias names at first.
    arn: String,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        LocalKms::create(&folder.path().join("kms.key")).unwrap();
        let url = format!("sqlite:{}", folder.path().join("byokd.db").display());
        let store = Arc::new(
            Store::open(&StoreSettings::at(&url), OpenMode::Serve)
                .await
                .unwrap(),
        );
        let fake = FakeKms::start().await;
        let arn = fake.add_key(ALIAS);
        Self {
            folder,
            clock: Clock::manual(datetime!(2030-06-15 12:00 UTC)),
            store,
            fake,
            arn,
        }
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("kms.key")
    }

    async fn open_local(&self) -> Keyring {
        let kms = Kms::Local(LocalKms::open(&self.key_file(), &[]).unwrap());
        Keyring::open(Arc::clone(&self.store), kms, self.clock.clone())
            .await
            .unwrap()
    }

    async fn kms(&self, files: &[PathBuf]) -> Kms {
        Kms::Aws(
            Box::new(self.aws(&[]).await),
            KeyFiles::open(files).unwrap(),
        )
    }

    async fn aws(&self, previous: &[&str]) -> AwsKms {
        let settings = AwsSettings {
            key: KmsKeyName::parse(ALIAS).unwrap(),
            previous: previous
                .iter()
                .map(|name| KmsKeyName::parse(name).unwrap())
                .collect(),
            region: Some(REGION.to_owned()),
            endpoint_url: Some(self.fake.url()),
            calls_per_second: NonZeroU32::new(10_000).unwrap(),
            access_key: Some(("id".to_owned(), "secret".to_owned())),
        };
        AwsKms::open(settings, self.clock.clone()).await.unwrap()
    }

    async fn open_with(&self, previous: &[&str]) -> Keyring {
        let kms = Kms::Aws(
            Box::new(self.aws(previous).await),
            KeyFiles::open(&[]).unwrap(),
        );
        Keyring::open(Arc::clone(&self.store), kms, self.clock.clone())
            .await
            .unwrap()
    }

    async fn open(&self) -> Keyring {
        let kms = self.kms(&[]).await;
        Keyring::open(Arc::clone(&self.store), kms, self.clock.clone())
            .await
            .unwrap()
    }

    /// A keyring that holds all data keys, and a KMS that was asked nothing yet.
    async fn warm(&self) -> Keyring {
        let ring = self.open().await;
        ring.tick().await;
        assert!(ring.is_warm());
        self.fake.forget_calls();
        ring
    }

    /// Time passes, and the background does its rounds.
    async fn pass(&self, ring: &Keyring, time: Duration, every: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(every);
            self.clock.advance(step);
            ring.tick().await;
            left -= step;
        }
    }

    /// Unused data keys.
    async fn insert(&self, ring: &Keyring, id: DataKeyId, active: bool) -> DataKeyRow {
        let (_, wrapped) = ring.kms.generate(ring.context(id)).await.unwrap();
        let row = DataKeyRow {
            id,
            wrapped: wrapped.blob,
            kms_key_arn: wrapped.kms_key_arn,
            active,
        };
        self.store
            .insert_data_keys(vec![row.clone()], self.clock.now())
            .await
            .unwrap();
        row
    }
}

fn reason<T>(result: Result<T, Error>) -> Option<Reason> {
    result.err().map(|error| error.reason())
}

#[test]
fn a_bucket_stays_what_it_is_for_ever() {
    let rows = [
        (Scope::Platform, 51),
        (workspace("acme"), 197),
        (workspace("globex"), 134),
    ];
    for (scope, expected) in rows {
        assert_eq!(bucket(&scope), expected, "{scope:?}");
    }
}
