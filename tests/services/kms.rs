//! moto through the proxy: it works as the KMS does, and each fault answers as AWS documents it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{KmsFault, KmsProxy, kms_proxy::AUTHORIZATION};

/// A plain call through the proxy: the HTTP status and the body, or `None` without an answer.
async fn call(
    kms: &KmsProxy,
    operation: &str,
    body: &Value,
) -> Result<(u16, Value), reqwest::Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let request = client
        .post(kms.endpoint())
        .header("x-amz-target", format!("TrentService.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", AUTHORIZATION)
        .body(body.to_string());
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((
        status,
        serde_json::from_slice(&answer.bytes().await?).unwrap(),
    ))
}

async fn well(kms: &KmsProxy, operation: &str, body: Value) -> Value {
    let (status, answer) = call(kms, operation, &body).await.unwrap();
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

async fn refused(kms: &KmsProxy, operation: &str, body: &Value) -> (u16, String) {
    let (status, answer) = call(kms, operation, body).await.unwrap();
    (
        status,
        answer["__type"]
            .as_str()
            .unwrap_or_else(|| panic!("{operation}: {status} {answer}"))
            .to_owned(),
    )
}

fn context(bucket: u8) -> Value {
    json!({ "service": "byokd", "deployment": "d", "bucket": bucket.to_string(), "version": "1" })
}

fn generate(key: &str) -> Value {
    json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(7) })
}

fn decrypt(key: &str, blob: &Value, bucket: u8) -> Value {
    json!({ "KeyId": key, "CiphertextBlob": blob, "EncryptionContext": context(bucket) })
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn data_keys_are_bound_to_their_key_and_context_and_move_to_another() {
    let kms = KmsProxy::start().await;
    let (old, new) = (kms.create_key().await, kms.create_key().await);
    let alias = kms.create_alias(&old).await;
    let made = well(&kms, "GenerateDataKey", generate(&alias)).await;
    assert_eq!(made["KeyId"], old.as_str());
    let (plain, blob) = (&made["Plaintext"], &made["CiphertextBlob"]);
    assert_eq!(
        well(&kms, "Decrypt", decrypt(&old, blob, 7)).await["Plaintext"],
        *plain
    );

    let invalid = (400, "InvalidCiphertextException".to_owned());
    assert_eq!(
        refused(&kms, "Decrypt", &decrypt(&old, blob, 8)).await,
        invalid
    );
    assert_eq!(
        refused(&kms, "Decrypt", &decrypt(&old, &json!("Z2FyYmFnZQ=="), 7)).await,
        invalid
    );
    let incorrect = (400, "IncorrectKeyException".to_owned());
    assert_eq!(
        refused(&kms, "Decrypt", &decrypt(&new, blob, 7)).await,
        incorrect
    );

    kms.update_alias(&alias, &new).await;
    let described = well(&kms, "DescribeKey", json!({ "KeyId": alias })).await;
    assert_eq!(described["KeyMetadata"]["Arn"], new.as_str());
    let moved = json!({ "SourceKeyId": old, "DestinationKeyId": new, "CiphertextBlob": blob,
        "SourceEncryptionContext": context(7), "DestinationEncryptionContext": context(7) });
    let moved = well(&kms, "ReEncrypt", moved).await;
    assert_eq!(moved["KeyId"], new.as_str());
    assert_eq!(
        well(&kms, "Decrypt", decrypt(&new, &moved["CiphertextBlob"], 7)).await["Plaintext"],
        *plain
    );

    kms.assert_clean();
    assert_eq!(
        (
            kms.count("Decrypt"),
            kms.count("ReEncrypt"),
            kms.count("CreateKey")
        ),
        (5, 1, 0)
    );
    let call = kms
        .calls()
        .into_iter()
        .find(|call| call.operation == "ReEncrypt")
        .unwrap();
    assert_eq!(
        (
            call.source_key_id.unwrap(),
            call.destination_key_id.unwrap()
        ),
        (old, new)
    );
    assert_eq!(call.context["bucket"], "7");
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn each_fault_answers_as_aws_does() {
    let kms = KmsProxy::start().await;
    let key = kms.create_key().await;
    let blob = well(&kms, "GenerateDataKey", generate(&key)).await["CiphertextBlob"].clone();
    let decrypt = decrypt(&key, &blob, 7);
    for (fault, status, exception) in [
        (KmsFault::Throttle, 400, "ThrottlingException"),
        (KmsFault::Internal, 500, "KMSInternalException"),
        (KmsFault::Disabled, 400, "DisabledException"),
        (KmsFault::PendingDeletion, 400, "KMSInvalidStateException"),
        (KmsFault::NotFound, 400, "NotFoundException"),
        (KmsFault::Denied, 400, "AccessDeniedException"),
        (KmsFault::IncorrectKey, 400, "IncorrectKeyException"),
    ] {
        kms.set(fault);
        assert_eq!(
            refused(&kms, "Decrypt", &decrypt).await,
            (status, exception.to_owned())
        );
    }
    kms.set(KmsFault::IncorrectKey);
    well(&kms, "GenerateDataKey", generate(&key)).await;
    for (fault, state) in [
        (KmsFault::Pass, "Enabled"),
        (KmsFault::Disabled, "Disabled"),
        (KmsFault::PendingDeletion, "PendingDeletion"),
    ] {
        kms.set(fault);
        let described = well(&kms, "DescribeKey", json!({ "KeyId": key })).await;
        assert_eq!(described["KeyMetadata"]["KeyState"], state);
    }

    kms.set(KmsFault::Dead);
    assert!(
        !call(&kms, "Decrypt", &decrypt)
            .await
            .unwrap_err()
            .is_timeout()
    );
    let slow = Duration::from_millis(200);
    kms.set(KmsFault::Slow(slow));
    let started = Instant::now();
    well(&kms, "Decrypt", decrypt.clone()).await;
    assert!(started.elapsed() >= slow);
    kms.set(KmsFault::Hang);
    tokio::time::timeout(slow, call(&kms, "Decrypt", &decrypt))
        .await
        .unwrap_err();
    kms.heal();
    well(&kms, "Decrypt", decrypt).await;
    kms.assert_clean();
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_fault_is_of_one_key_by_any_of_its_names() {
    let kms = KmsProxy::start().await;
    let (bad, good) = (kms.create_key().await, kms.create_key().await);
    let alias = kms.create_alias(&bad).await;
    let id = bad.rsplit_once('/').unwrap().1;
    kms.set_for(&bad, KmsFault::Disabled);
    for name in [&bad, &alias, &bad.replace(&format!("key/{id}"), &alias), id] {
        let (_, exception) = refused(&kms, "GenerateDataKey", &generate(name)).await;
        assert_eq!(exception, "DisabledException", "{name}");
    }
    let made = well(&kms, "GenerateDataKey", generate(&good)).await;
    let moved = json!({ "SourceKeyId": good, "DestinationKeyId": bad, "CiphertextBlob": made["CiphertextBlob"],
        "SourceEncryptionContext": context(7), "DestinationEncryptionContext": context(7) });
    assert_eq!(
        refused(&kms, "ReEncrypt", &moved).await.1,
        "DisabledException"
    );
    // The id alone is a name, but not one that byokd may use.
    assert_eq!(
        kms.violations(),
        [format!("GenerateDataKey: KeyId is Some({id:?})")]
    );
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_call_that_binds_to_too_little_is_a_violation() {
    let kms = KmsProxy::start().await;
    let key = kms.create_key().await;
    well(
        &kms,
        "GenerateDataKey",
        json!({ "KeyId": key, "KeySpec": "AES_256" }),
    )
    .await;
    let other = KmsProxy::start().await.create_key().await;
    well(&kms, "GenerateDataKey", generate(&other)).await;
    let mut partly = generate(&key);
    partly["EncryptionContext"]
        .as_object_mut()
        .unwrap()
        .remove("bucket");
    let blob = well(&kms, "GenerateDataKey", partly.clone()).await["CiphertextBlob"].clone();
    // Without a KMS key's name, the KMS would decrypt with any key that the blob names.
    call(
        &kms,
        "Decrypt",
        &json!({ "CiphertextBlob": blob, "EncryptionContext": partly["EncryptionContext"] }),
    )
    .await
    .unwrap();
    let violations = kms.violations();
    let of = |start: &str| {
        violations
            .iter()
            .filter(|said| said.starts_with(start))
            .count()
    };
    assert_eq!(
        (of("GenerateDataKey: the enc"), of("GenerateDataKey: KeyId")),
        (2, 1),
        "{violations:#?}"
    );
    assert_eq!(
        (of("Decrypt: the enc"), of("Decrypt: KeyId")),
        (1, 1),
        "{violations:#?}"
    );
}
