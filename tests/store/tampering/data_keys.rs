//! Tampering with data keys: swapped, foreign or deleted ones; and with the deployment's name, to which
//! everything is bound.

use std::time::Duration;

use byokd::{
    contract::v1,
    domain::{caller::Role, envelope::DataKeyId},
    kms::{EncryptionContext, Kms, LocalKms, Wrapped},
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::{STALE, corrupt, noticed, set, world};
use crate::support::{
    Byokd, Site, new_key, openai_key, refused,
    rows::{number, select},
    sql::{all, begun, bytes, hex, random_id},
    until,
};

/// Longer than a data key is used without being unwrapped again.
const UNWRAPPED_AGAIN: Duration = Duration::from_secs(15 * 60 + 1);

/// The buckets of three workspaces, each different.
async fn buckets(database: &DatabaseConnection) -> [i64; 3] {
    let mut buckets = [0; 3];
    for (bucket, workspace) in buckets.iter_mut().zip(["acme", "globex", "bystander"]) {
        let sql = format!(
            "SELECT CAST(bucket AS BIGINT) FROM provider_keys WHERE workspace_id = '{workspace}' \
             AND state = 'active'"
        );
        *bucket = number(database, &sql).await;
    }
    assert!(
        buckets[0] != buckets[1] && !buckets[..2].contains(&buckets[2]),
        "choose other names"
    );
    buckets
}

/// Swaps two buckets' data keys.
async fn swap(database: &DatabaseConnection, a: i64, b: i64) {
    let swap = format!(
        "CREATE TABLE two AS SELECT bucket, wrapped FROM data_keys WHERE bucket IN ({a}, {b});
         UPDATE data_keys SET wrapped = (SELECT wrapped FROM two WHERE two.bucket = {a} + {b} - data_keys.bucket)
         WHERE bucket IN ({a}, {b});
         DROP TABLE two"
    );
    database.execute_unprepared(&swap).await.unwrap();
}

/// No record of acme and globex opens, none is sealed for them, and all others are served.
async fn both_refused_and_no_other(byokd: &Byokd, what: &str) {
    for workspace in ["acme", "globex"] {
        corrupt(byokd, workspace, "openai", what).await;
        // A new record is not sealed under a data key that does not open, either.
        let set = byokd
            .admin()
            .set_key(new_key(workspace, "openai", &openai_key(5)))
            .await;
        assert_eq!(refused(set), "RECORD_CORRUPT", "{what}");
    }
    assert_eq!(
        byokd.secret("bystander", "openai").await.unwrap(),
        openai_key(3),
        "{what}"
    );
}

/// Data keys are bound to their bucket: swapped, neither opens; the other buckets serve on.
#[tokio::test]
async fn swapped_data_keys_open_nothing_and_disturb_no_other_bucket() {
    let (byokd, database) = world().await;
    let [a, b, _] = buckets(&database).await;
    swap(&database, a, b).await;
    let byokd = byokd.restart().await;
    both_refused_and_no_other(&byokd, "swapped before a start").await;
}

/// A serving replica holds them in memory, and notices when it unwraps them again; put back, they open again.
#[tokio::test]
async fn data_keys_swapped_while_serving_are_noticed_at_the_next_unwrap() {
    let (byokd, database) = world().await;
    let [a, b, _] = buckets(&database).await;
    swap(&database, a, b).await;
    byokd.pass(UNWRAPPED_AGAIN);
    both_refused_and_no_other(&byokd, "swapped while serving").await;
    swap(&database, a, b).await;
    byokd.pass(Duration::from_secs(60));
    until("the data keys that were put back", async || {
        byokd.secret("acme", "openai").await.ok()
    })
    .await;
    byokd.set_key("globex", "openai", &openai_key(6)).await;
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(6)
    );
}

/// A data key whose plaintext the attacker knows, because it is wrapped by the attacker's KMS key: nothing is
/// sealed under it. Older records open as before.
#[tokio::test]
async fn nothing_is_sealed_under_a_planted_data_key_of_a_foreign_kms_key() {
    let (byokd, database) = world().await;
    let [bucket, ..] = buckets(&database).await;
    let file = byokd.folder.path().join("kms-of-the-attacker");
    LocalKms::create(&file).unwrap();
    let kms = Kms::Local(LocalKms::open(&file, &[]).unwrap());
    let deployment = all(&database, "SELECT deployment_id FROM deployment").await[0]
        .try_get_by_index(0)
        .unwrap();
    let data_key = DataKeyId {
        bucket: bucket.try_into().unwrap(),
        version: 2,
    };
    let (_, Wrapped { blob, kms_key_arn }) = kms
        .generate(EncryptionContext {
            deployment,
            data_key,
        })
        .await
        .unwrap();
    let (trusted, blob) = (
        "SELECT kms_key_arn FROM data_keys WHERE version = 1 LIMIT 1",
        bytes(&hex(&blob)),
    );
    // Under its own name, and as if the right KMS key had wrapped it.
    for arn in [format!("'{kms_key_arn}'"), format!("({trusted})")] {
        let plant = format!(
            "UPDATE data_keys SET state = 'retired' WHERE bucket = {bucket} AND version = 1;
             DELETE FROM data_keys WHERE bucket = {bucket} AND version = 2;
             INSERT INTO data_keys (bucket, version, wrapped, kms_key_arn, state, created_at)
             SELECT bucket, 2, {blob}, {arn}, 'active', created_at FROM data_keys
             WHERE bucket = {bucket} AND version = 1"
        );
        database.execute_unprepared(&plant).await.unwrap();
        let set = byokd
            .admin()
            .set_key(new_key("acme", "openai", &openai_key(5)))
            .await;
        assert_eq!(refused(set), "RECORD_CORRUPT", "{arn}");
        byokd.pass(UNWRAPPED_AGAIN);
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            openai_key(1),
            "{arn}"
        );
        byokd.set_key("bystander", "openai", &openai_key(3)).await;
        let under = format!(
            "SELECT count(*) FROM provider_keys WHERE bucket = {bucket} AND data_key_version = 2"
        );
        assert_eq!(number(&database, &under).await, 0, "{arn}");
    }
}

#[tokio::test]
async fn a_record_that_names_another_data_key_does_not_open() {
    let gone = format!("sealed = {}", begun("sealed", "01ffff00000009"));
    noticed(&[("one that is not there", set(&gone))]).await;
    let (byokd, database) = world().await;
    let [_, other, _] = buckets(&database).await;
    let header = format!("01{other:04x}00000001");
    database
        .execute_unprepared(&set(&format!("sealed = {}", begun("sealed", &header))))
        .await
        .unwrap();
    byokd.pass(STALE);
    corrupt(&byokd, "acme", "openai", "another bucket's").await;
}

/// Malformed rows of data keys stop no start, and affect no key.
#[tokio::test]
async fn a_malformed_data_key_damages_no_other_bucket() {
    let (byokd, database) = world().await;
    for id in ["-1, 1", "70000, 1", "7, -1", "7, 4294967296"] {
        let plant = format!(
            "INSERT INTO data_keys (bucket, version, wrapped, kms_key_arn, state, created_at)
             SELECT {id}, wrapped, kms_key_arn, 'active', created_at FROM data_keys LIMIT 1"
        );
        database.execute_unprepared(&plant).await.unwrap();
    }
    byokd.pass(UNWRAPPED_AGAIN);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    let byokd = byokd.restart().await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    byokd.set_key("acme", "openai", &openai_key(4)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(4));
}

/// It is still in memory; its records open, and new ones are sealed under its successor.
#[tokio::test]
async fn nothing_is_sealed_under_a_data_key_that_was_retired_meanwhile() {
    let (byokd, database) = world().await;
    database
        .execute_unprepared("UPDATE data_keys SET state = 'retired'")
        .await
        .unwrap();
    byokd.set_key("acme", "openai", &openai_key(5)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(5));
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(2)
    );
    let version =
        "SELECT data_key_version FROM provider_keys WHERE workspace_id = $1 AND state = 'active'";
    for (workspace, expected) in [("acme", 2_i64), ("globex", 1)] {
        let rows = select(&database, version, workspace).await;
        assert_eq!(
            rows[0].try_get_by_index::<i64>(0).unwrap(),
            expected,
            "{workspace}"
        );
    }
}

/// Rows of one deployment in another: nothing opens, and the start says so. With the right name everything
/// works again.
#[tokio::test]
async fn a_database_under_another_deployments_name_opens_nothing() {
    let site = Site::new().await;
    let mut process = site.start().await;
    process
        .keys(Role::Admin)
        .await
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    process.kill();
    let database = site.database().await;
    let rename = |name: &str| format!("UPDATE deployment SET deployment_id = {name}");
    let keep = "CREATE TABLE kept AS SELECT deployment_id FROM deployment";
    database.execute_unprepared(keep).await.unwrap();
    database
        .execute_unprepared(&rename(random_id()))
        .await
        .unwrap();
    let said = site.refused(site.serve()).await;
    assert!(
        said.contains("unwraps none of the database's data keys"),
        "{said}"
    );
    database
        .execute_unprepared(&rename("(SELECT deployment_id FROM kept)"))
        .await
        .unwrap();
    let process = site.start().await;
    let verify = v1::VerifyKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    process
        .keys(Role::Admin)
        .await
        .verify_key(verify)
        .await
        .unwrap();
}
