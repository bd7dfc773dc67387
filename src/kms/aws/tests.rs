//! AWS KMS as the fake at the wire has it: what is asked, what each failure means, and what refuses a start.

mod limits;

use std::{collections::BTreeMap, num::NonZeroU32};

use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::{
    domain::envelope::DataKeyId,
    kms::{
        KeyFiles, Kms, LocalKms,
        fake_kms::{Failure, FakeKms, REGION},
    },
};

fn settings(fake: &FakeKms, key: &str, previous: &[&str]) -> AwsSettings {
    AwsSettings {
        key: KmsKeyName::parse(key).unwrap(),
        previous: previous
            .iter()
            .map(|name| KmsKeyName::parse(name).unwrap())
            .collect(),
        region: Some(REGION.to_owned()),
        endpoint_url: Some(fake.url()),
        calls_per_second: NonZeroU32::new(10_000).unwrap(),
        access_key: Some(("id".to_owned(), "secret".to_owned())),
    }
}

fn clock() -> Clock {
    Clock::manual(datetime!(2030-06-15 12:00 UTC))
}

async fn open(fake: &FakeKms, key: &str, previous: &[&str]) -> Result<Kms, KmsError> {
    let aws = AwsKms::open(settings(fake, key, previous), clock()).await?;
    Ok(Kms::Aws(Box::new(aws), KeyFiles::open(&[]).unwrap()))
}

fn context(bucket: u16) -> EncryptionContext {
    EncryptionContext {
        deployment: Uuid::from_u128(7),
        data_key: DataKeyId { bucket, version: 3 },
    }
}

#[tokio::test]
async fn every_call_names_the_key_by_its_arn_and_the_whole_context() {
    let fake = FakeKms::start().await;
    let arn = fake.add_key("alias/byokd");
    let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
    let (secret, wrapped) = kms.generate(context(9)).await.unwrap();
    assert_eq!((secret.len(), &wrapped.kms_key_arn), (32, &arn));
    assert_eq!(*kms.unwrap(&wrapped, context(9)).await.unwrap(), *secret);
    let to = fake.add_key("alias/byokd");
    kms.look_up().await.all().unwrap();
    assert_eq!(kms.current(), to);
    let moved = kms.rewrap(&wrapped, context(9)).await.unwrap();
    assert_eq!(moved.kms_key_arn, to);
    assert_eq!(*kms.unwrap(&moved, context(9)).await.unwrap(), *secret);
    assert_eq!(
        *kms.unwrap(&wrapped, context(9)).await.unwrap(),
        *secret,
        "the key before stays allowed"
    );

    let expected: BTreeMap<String, String> =
        context(9).pairs().map(|(k, v)| (k.to_owned(), v)).into();
    let named: Vec<(String, String)> = fake
        .calls()
        .into_iter()
        .map(|call| (call.operation, call.key_id))
        .collect();
    let rows = [
        ("DescribeKey", "alias/byokd"),
        ("GenerateDataKey", &arn),
        ("Decrypt", &arn),
        ("DescribeKey", "alias/byokd"),
        ("ReEncrypt", &arn),
        ("Decrypt", &to),
        ("Decrypt", &arn),
    ];
    assert_eq!(
        named,
        rows.map(|(operation, key)| (operation.to_owned(), key.to_owned()))
    );
    for call in fake
        .calls()
        .into_iter()
        .filter(|call| call.operation != "DescribeKey")
    {
        assert_eq!(call.context, expected, "{}", call.operation);
    }
    let rewrap = fake
        .calls()
        .into_iter()
        .find(|call| call.operation == "ReEncrypt")
        .unwrap();
    assert_eq!(rewrap.body["DestinationKeyId"], *to);
    assert_eq!(
        rewrap.body["DestinationEncryptionContext"],
        rewrap.body["SourceEncryptionContext"]
    );
}

#[tokio::test]
async fn each_failure_is_what_it_means() {
    let fake = FakeKms::start().await;
    let arn = fake.add_key("alias/byokd");
    let rows = [
        (Failure::Dead, KmsFault::Outage),
        (Failure::Hang, KmsFault::Outage),
        (
            Failure::Answer(500, "KMSInternalException"),
            KmsFault::Outage,
        ),
        (
            Failure::Answer(400, "KMSInternalException"),
            KmsFault::Outage,
        ),
        (Failure::Answer(503, "SomethingElse"), KmsFault::Outage),
        (
            Failure::Answer(400, "ThrottlingException"),
            KmsFault::Outage,
        ),
        (
            Failure::Answer(400, "DependencyTimeoutException"),
            KmsFault::Outage,
        ),
        (
            Failure::Answer(400, "KeyUnavailableException"),
            KmsFault::Outage,
        ),
        (
            Failure::Answer(400, "AccessDeniedException"),
            KmsFault::Denied,
        ),
        (
            Failure::Answer(400, "UnrecognizedClientException"),
            KmsFault::Denied,
        ),
        (
            Failure::Answer(400, "ExpiredTokenException"),
            KmsFault::Denied,
        ),
        (
            Failure::Answer(400, "DisabledException"),
            KmsFault::KeyState,
        ),
        (
            Failure::Answer(400, "KMSInvalidStateException"),
            KmsFault::KeyState,
        ),
        (
            Failure::Answer(400, "NotFoundException"),
            KmsFault::KeyState,
        ),
        (
            Failure::Answer(400, "InvalidCiphertextException"),
            KmsFault::Corrupt,
        ),
        (
            Failure::Answer(400, "IncorrectKeyException"),
            KmsFault::Corrupt,
        ),
        (
            Failure::Answer(400, "ValidationException"),
            KmsFault::Corrupt,
        ),
    ];
    for (failure, fault) in rows {
        fake.fail(None);
        // One of its own for each: an outage would make the next one's gate refuse.
        let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
        let (_, wrapped) = kms.generate(context(1)).await.unwrap();
        fake.fail(Some(failure));
        let error = kms.unwrap(&wrapped, context(1)).await.unwrap_err();
        assert_eq!(error.fault(), fault, "{error}");
        for word in ["Decrypt", &arn, REGION] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_blob_in_another_place_or_under_a_strangers_key_is_corruption() {
    let fake = FakeKms::start().await;
    let stranger = fake.add_key("alias/stranger");
    fake.add_key("alias/byokd");
    let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
    let (_, wrapped) = kms.generate(context(1)).await.unwrap();
    let fault =
        async |wrapped: &Wrapped, context| kms.unwrap(wrapped, context).await.unwrap_err().fault();
    assert_eq!(fault(&wrapped, context(2)).await, KmsFault::Corrupt);
    let cut = Wrapped {
        blob: Vec::new(),
        ..wrapped.clone()
    };
    assert_eq!(fault(&cut, context(1)).await, KmsFault::Corrupt);
    fake.forget_calls();
    let foreign = Wrapped {
        kms_key_arn: stranger,
        ..wrapped
    };
    assert_eq!(fault(&foreign, context(1)).await, KmsFault::Corrupt);
    assert_eq!(
        kms.rewrap(&foreign, context(1)).await.unwrap_err().fault(),
        KmsFault::Corrupt
    );
    assert_eq!(fake.calls().len(), 0, "no call for a stranger's key");
}

#[tokio::test]
async fn what_the_operator_must_mend_refuses_the_start_and_says_how() {
    let fake = FakeKms::start().await;
    let arn = fake.add_key("alias/byokd");
    let refused = async |key: &str, failure, words: &[&str]| {
        fake.fail(failure);
        let error = open(&fake, key, &[]).await.unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    };
    refused(
        "alias/none",
        None,
        &["alias/none", REGION, "check kms.key and kms.region"],
    )
    .await;
    let denied = Failure::Only("DescribeKey", 400, "AccessDeniedException");
    refused(
        "alias/byokd",
        Some(denied),
        &["kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"],
    )
    .await;
    let token = Failure::Answer(400, "UnrecognizedClientException");
    refused("alias/byokd", Some(token), &["AWS_ACCESS_KEY_ID", "IRSA"]).await;
    let arn_of_elsewhere = Failure::Answer(400, "InvalidArnException");
    refused(&arn, Some(arn_of_elsewhere), &["kms.region", REGION]).await;
    for state in ["Disabled", "PendingDeletion", "PendingImport"] {
        fake.set_state(&arn, state);
        refused(
            "alias/byokd",
            None,
            &[state, &arn, "enable it or cancel its deletion"],
        )
        .await;
        refused(&arn, None, &[state]).await;
    }
}

/// An outage at the start: the names are looked up once it is over, and until then no row counts as corrupt.
#[tokio::test]
async fn an_outage_does_not_refuse_the_start_and_condemns_nobody() {
    let fake = FakeKms::start().await;
    let arn = fake.add_key("alias/byokd");
    fake.fail(Some(Failure::Answer(500, "KMSInternalException")));
    let by_arn = open(&fake, &arn, &[]).await.unwrap();
    assert_eq!(
        (by_arn.allows(&arn), by_arn.current()),
        (Allowed::Yes, arn.clone())
    );
    let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
    assert!(!kms.is_looked_up());
    let wrapped = Wrapped {
        blob: vec![1],
        kms_key_arn: arn.clone(),
    };
    assert_eq!(
        kms.unwrap(&wrapped, context(1)).await.unwrap_err().fault(),
        KmsFault::Outage
    );
    assert_eq!(
        kms.generate(context(1)).await.unwrap_err().fault(),
        KmsFault::Outage
    );
    fake.fail(None);
    kms.look_up().await.all().unwrap();
    assert!(kms.is_looked_up());
    assert_eq!(kms.allows(&arn), Allowed::Yes);
    assert_eq!(kms.allows(&arn.replace("1111", "2222")), Allowed::No);
}

#[tokio::test]
async fn previous_keys_unwrap_and_a_key_file_needs_new_data_keys() {
    let fake = FakeKms::start().await;
    let old = fake.add_key("alias/old");
    fake.add_key("alias/byokd");
    let before = open(&fake, "alias/old", &[]).await.unwrap();
    let (secret, wrapped) = before.generate(context(1)).await.unwrap();
    let kms = open(&fake, "alias/byokd", &["alias/old"]).await.unwrap();
    assert_eq!(kms.allows(&old), Allowed::Yes);
    assert_eq!(*kms.unwrap(&wrapped, context(1)).await.unwrap(), *secret);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kms.key");
    LocalKms::create(&path).unwrap();
    let local = Kms::Local(LocalKms::open(&path, &[]).unwrap());
    let (secret, wrapped) = local.generate(context(2)).await.unwrap();
    let aws = AwsKms::open(settings(&fake, "alias/byokd", &[]), clock())
        .await
        .unwrap();
    let kms = Kms::Aws(Box::new(aws), KeyFiles::open(&[path]).unwrap());
    assert_eq!(*kms.unwrap(&wrapped, context(2)).await.unwrap(), *secret);
    let error = kms.rewrap(&wrapped, context(2)).await.unwrap_err();
    assert!(error.to_string().contains("--data-keys"), "{error}");
}

#[tokio::test]
async fn a_preflight_fails_if_either_permission_is_missing() {
    let fake = FakeKms::start().await;
    fake.add_key("alias/byokd");
    let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
    kms.preflight(Uuid::from_u128(7)).await.unwrap();
    for operation in ["GenerateDataKey", "Decrypt"] {
        fake.fail(Some(Failure::Only(operation, 400, "AccessDeniedException")));
        let error = kms.preflight(Uuid::from_u128(7)).await.unwrap_err();
        assert_eq!(error.fault(), KmsFault::Denied, "{operation}");
    }
}
