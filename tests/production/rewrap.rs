//! `byokd rewrap`, by the real binary: data keys move to another KMS key while replicas serve, and their
//! plaintext never leaves the KMS.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait as _;

use crate::support::fleet::{Ended, Fleet, Load, assert_keys, set_keys};
use crate::support::{KmsCall, KmsFault, KmsProxy, Process, rows::number, until};

const BUCKETS: i64 = 256;
const RECORDS: u32 = 12;

/// The number of data keys under a KMS key.
async fn under(fleet: &Fleet, arn: &str) -> i64 {
    let database = fleet.database().await;
    let count = number(
        &database,
        &format!("SELECT count(*) FROM data_keys WHERE kms_key_arn = '{arn}'"),
    )
    .await;
    database.close().await.unwrap();
    count
}

/// A fleet with all data keys under the KMS key A and some records, and KMS keys A and B.
async fn under_the_first(kms: &KmsProxy) -> (Fleet, String, String) {
    let (a, b) = (kms.create_key().await, kms.create_key().await);
    let mut fleet = Fleet::on_postgres().await;
    fleet.unset("BYOKD__KMS__KEY_FILE");
    fleet.set_kms(kms, &a, &[]);
    let process = fleet.start().await;
    set_keys(&process, RECORDS).await;
    until("all data keys exist", async || {
        (under(&fleet, &a).await == BUCKETS).then_some(())
    })
    .await;
    (fleet, a, b)
}

/// A replica of B that has unwrapped all data keys of A.
async fn warm_under_the_second(fleet: &mut Fleet, kms: &KmsProxy, a: &str, b: &str) -> Process {
    fleet.set_kms(kms, b, &[a]);
    kms.forget_calls();
    let process = fleet.start().await;
    until("it is warm", async || {
        (kms.count("Decrypt") >= 256).then_some(())
    })
    .await;
    process
}

fn moved(ended: &Ended, moved: i64, resumed: bool) {
    let json = ended.json();
    assert_eq!(
        (json["moved"].as_i64(), json["refused"].as_i64()),
        (Some(moved), Some(0)),
        "{ended:?}"
    );
    assert_eq!(json["resumed"].as_bool(), Some(resumed), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn data_keys_move_to_another_kms_key_inside_the_kms_while_a_replica_serves() {
    let kms = KmsProxy::start().await;
    let (mut fleet, a, b) = under_the_first(&kms).await;
    let process = warm_under_the_second(&mut fleet, &kms, &a, &b).await;

    fleet
        .run(&["rewrap", "--dry-run"])
        .await
        .says(0, &[&format!("would move {BUCKETS} data keys"), &b]);
    assert_eq!(under(&fleet, &a).await, BUCKETS);

    let load = Load::start(&process, RECORDS).await;
    load.goes_on().await;
    kms.forget_calls();
    let ended = fleet.run(&["rewrap", "-o", "json"]).await;
    moved(&ended, BUCKETS, false);
    assert_eq!(ended.json()["kms_key"], b.as_str());
    assert!(
        ended.said.contains("256 of 256 looked at, 256 moved"),
        "{ended:?}"
    );
    assert_eq!(
        (under(&fleet, &a).await, under(&fleet, &b).await),
        (0, BUCKETS)
    );
    // In the clear: one data key as proof at its start, and one that byokd created for a test and discarded.
    let mut re_encrypted = kms.calls();
    re_encrypted.retain(|call| call.operation == "ReEncrypt");
    // On a busy machine the KMS may get two requests.
    let buckets: BTreeSet<_> = re_encrypted
        .iter()
        .map(|call| call.context.get("bucket").cloned())
        .collect();
    assert_eq!(buckets.len(), 256);
    let of_no_bucket = |call: &&KmsCall| {
        call.context
            .get("bucket")
            .is_some_and(|bucket| bucket == "65535")
    };
    let calls = kms.calls();
    let preflight: Vec<&str> = calls
        .iter()
        .filter(of_no_bucket)
        .map(|call| call.operation.as_str())
        .collect();
    assert_eq!(preflight, ["GenerateDataKey", "Decrypt"]);
    assert_eq!((kms.count("GenerateDataKey"), kms.count("Decrypt")), (1, 2));
    for call in re_encrypted {
        assert_eq!(
            (call.source_key_id, call.destination_key_id),
            (Some(a.clone()), Some(b.clone()))
        );
        assert_eq!(call.source_context, call.context);
    }
    kms.assert_clean();
    load.goes_on().await;
    load.end().await;

    // Nothing is left to do, and the output says so.
    kms.forget_calls();
    fleet
        .run(&["rewrap"])
        .await
        .says(0, &["nothing to move", &b]);
    moved(&fleet.run(&["rewrap", "-o", "json"]).await, 0, false);
    fleet
        .run(&["rewrap", "--dry-run"])
        .await
        .says(0, &["would move 0 data keys"]);
    assert_eq!(
        (kms.count("ReEncrypt"), kms.count("GenerateDataKey")),
        (0, 0)
    );

    // A replica without A in its configuration reads everything.
    drop(process);
    kms.set_for(&a, KmsFault::Disabled);
    fleet.set_kms(&kms, &b, &[]);
    assert_keys(&fleet.start().await, RECORDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_kms_key_that_cannot_decrypt_is_refused_before_any_change() {
    let kms = KmsProxy::start().await;
    let (mut fleet, a, b) = under_the_first(&kms).await;
    fleet.set_kms(&kms, &b, &[&a]);
    for fault in [
        KmsFault::Disabled,
        KmsFault::Denied,
        KmsFault::PendingDeletion,
        KmsFault::IncorrectKey,
    ] {
        kms.set_for(&b, fault);
        kms.forget_calls();
        let ended = fleet.run(&["rewrap"]).await;
        assert_ne!(ended.code, Some(0), "{fault:?}: {ended:?}");
        assert!(ended.said.contains("KMS"), "{fault:?}: {ended:?}");
        assert_eq!(kms.count("ReEncrypt"), 0, "{fault:?}");
        assert_eq!(under(&fleet, &a).await, BUCKETS, "{fault:?}");
    }
    kms.heal();
    moved(&fleet.run(&["rewrap", "-o", "json"]).await, BUCKETS, false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_damaged_data_key_is_counted_and_named_and_the_others_move() {
    let kms = KmsProxy::start().await;
    let (mut fleet, a, b) = under_the_first(&kms).await;
    fleet.set_kms(&kms, &b, &[&a]);
    let database = fleet.database().await;
    database
        .execute_unprepared("UPDATE data_keys SET wrapped = 'damaged' WHERE bucket IN (7, 9)")
        .await
        .unwrap();
    let ended = fleet.run(&["rewrap"]).await;
    ended.says(
        2,
        &[
            "moved 254 data keys",
            "2 refused",
            "bucket: 7",
            "bucket: 9",
            "set those keys again",
        ],
    );
    assert_eq!(
        (under(&fleet, &a).await, under(&fleet, &b).await),
        (2, BUCKETS - 2)
    );
}

/// The running rewrap is not disturbed, and the second one exits with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_second_concurrent_rewrap_is_refused() {
    let kms = KmsProxy::start().await;
    let (mut fleet, a, b) = under_the_first(&kms).await;
    fleet.set_kms(&kms, &b, &[&a]);
    kms.set(KmsFault::Slow(std::time::Duration::from_millis(10)));
    let mut first = fleet.site.spawn(fleet.command(&["rewrap"]));
    until("the first one moves", async || {
        (under(&fleet, &b).await > 0).then_some(())
    })
    .await;
    let second = fleet.run(&["rewrap"]).await;
    assert!(first.ended().await.success(), "{}", first.said());
    assert_ne!(second.code, Some(0), "{second:?}");
    second.says(
        second.code.unwrap(),
        &["another rewrap is running", "its last sign of life"],
    );
    assert_eq!(
        (under(&fleet, &a).await, under(&fleet, &b).await),
        (0, BUCKETS)
    );
}

/// Killed again and again, it finishes; each following run reports the interrupted one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_killed_rewrap_is_continued_by_the_next() {
    let kms = KmsProxy::start().await;
    let (mut fleet, a, b) = under_the_first(&kms).await;
    fleet.set_kms(&kms, &b, &[&a]);
    kms.set(KmsFault::Slow(std::time::Duration::from_millis(10)));
    let mut killed = fleet.site.spawn(fleet.command(&["rewrap"]));
    until("it moves", async || {
        (under(&fleet, &b).await > 8).then_some(())
    })
    .await;
    killed.kill();
    let there = under(&fleet, &b).await;
    assert!(there < BUCKETS, "it was done before it was killed");
    // Its claim blocks the next one for a while, and the refusal says so.
    let refused = fleet.run(&["rewrap"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    refused.says(
        refused.code.unwrap(),
        &[
            "another rewrap is running",
            "if it was killed, try again in 15 s",
        ],
    );
    kms.heal();
    let ended = until("the claim dies", async || {
        let ended = fleet.run(&["rewrap", "-o", "json"]).await;
        (ended.code == Some(0)).then_some(ended)
    })
    .await;
    let json = ended.json();
    assert_eq!(json["resumed"], true, "{ended:?}");
    // Up to four moves before the kill were not recorded.
    assert!(
        (BUCKETS - 4..=BUCKETS).contains(&json["moved"].as_i64().unwrap()),
        "{ended:?}"
    );
    assert_eq!(
        (under(&fleet, &a).await, under(&fleet, &b).await),
        (0, BUCKETS)
    );
    fleet.set_kms(&kms, &b, &[]);
    assert_keys(&fleet.start().await, RECORDS).await;
}
