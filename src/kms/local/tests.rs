//! Tests of `local`.

use std::fs;

use super::*;
use crate::domain::envelope::DataKeyId;

fn context(bucket: u16) -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(1),
        data_key: DataKeyId { bucket, version: 1 },
    }
}

fn kms() -> (tempfile::TempDir, LocalKms) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kms.key");
    LocalKms::create(&path).unwrap();
    let kms = LocalKms::open(&path, &[]).unwrap();
    (folder, kms)
}

#[test]
fn unwraps_only_in_its_context_and_undamaged() {
    let (_folder, kms) = kms();
    let (secret, wrapped) = kms.generate(context(7)).unwrap();
    assert_eq!(*kms.unwrap(&wrapped, context(7)).unwrap(), *secret);
    let newer = DataKeyId {
        version: 2,
        ..context(7).data_key
    };
    for elsewhere in [
        context(8),
        EncryptionContext {
            data_key: newer,
            ..context(7)
        },
        EncryptionContext {
            deployment: Uuid::from_u128(2),
            ..context(7)
        },
    ] {
        assert!(kms.unwrap(&wrapped, elsewhere).is_err(), "{elsewhere:?}");
    }
    for bit in 0..wrapped.blob.len() * 8 {
        let mut blob = wrapped.blob.clone();
        blob[bit / 8] ^= 1 << (bit % 8);
        let damaged = Wrapped {
            blob,
            kms_key_arn: wrapped.kms_key_arn.clone(),
        };
        assert!(kms.unwrap(&damaged, context(7)).is_err());
    }
}

#[test]
fn another_files_data_keys_are_refused_unless_it_is_a_previous_one() {
    let (folder, old) = kms();
    let (secret, wrapped) = old.generate(context(1)).unwrap();
    let path = folder.path().join("new.key");
    LocalKms::create(&path).unwrap();
    assert!(
        LocalKms::open(&path, &[])
            .unwrap()
            .unwrap(&wrapped, context(1))
            .is_err()
    );
    let both = LocalKms::open(&path, &[folder.path().join("kms.key")]).unwrap();
    assert_eq!(*both.unwrap(&wrapped, context(1)).unwrap(), *secret);
    let moved = both.rewrap(&wrapped, context(1)).unwrap();
    assert_eq!(moved.kms_key_arn, both.arn());
    assert_eq!(*both.unwrap(&moved, context(1)).unwrap(), *secret);
    assert!(both.rewrap(&wrapped, context(2)).is_err());
}

#[test]
fn never_replaces_a_key_file_and_never_prints_it() {
    let (folder, _kms) = kms();
    let path = folder.path().join("kms.key");
    let before = fs::read_to_string(&path).unwrap();
    assert!(LocalKms::create(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    fs::write(&path, before.replace("key = ", "kay = ")).unwrap();
    let error = LocalKms::open(&path, &[]).unwrap_err();
    let secret = before.rsplit('"').nth(1).unwrap();
    assert!(!format!("{error} {error:?}").contains(&secret[..8]));
}
