//! Rows that hold what byokd would never write, and data keys that lie in another's place: damage, not an outage, and no
//! panic.

use sea_orm::{ConnectionTrait as _, Statement};
use tonic::Code;

use super::{noticed, set, world};
use crate::support::{new_key, openai_key, reason, rows::select};

/// A row that cannot be read is its own workspace's damage, not an outage.
#[tokio::test]
async fn columns_of_another_shape_are_damage_of_their_workspace_alone() {
    noticed("headers: a list", &set("headers = '[1]'")).await;
    noticed("headers: no JSON", &set("headers = '{'")).await;
    noticed("headers: bytes", &set("headers = x'ff'")).await;
    noticed("an unknown verdict", &set("verdict = 'SPLENDID'")).await;
    noticed("a time that is none", &set("set_at = 'yesterday'")).await;
    noticed("a negative count", &set("refused_count = -1")).await;
    noticed("a key id that is none", &set("key_id = 'x'")).await;
    let holder = |columns: &str| format!("UPDATE holders SET {columns} WHERE workspace_id = 'acme'");
    noticed("a negative revision", &holder("revision = -1")).await;
    noticed("selections: a list", &holder("selections = '[]'")).await;
    noticed("selections: another value", &holder("selections = '{\"openai\": 5}'")).await;
    noticed("generations: a text", &holder("generations = '\"many\"'")).await;
    noticed("generations: no JSON", &holder("generations = 'many'")).await;
}

/// Data keys are bound to their bucket: swapped, neither opens; the buckets that were not touched serve on.
#[tokio::test]
async fn swapped_data_keys_open_nothing_and_disturb_no_other_bucket() {
    let (byokd, database) = world().await;
    let bucket = |workspace: &str| {
        let sql = format!(
            "SELECT bucket FROM provider_keys WHERE workspace_id = '{workspace}' AND state = 'active'"
        );
        Statement::from_string(database.get_database_backend(), sql)
    };
    let mut buckets = Vec::new();
    for workspace in ["acme", "globex", "bystander"] {
        let row = database.query_one_raw(bucket(workspace)).await.unwrap().unwrap();
        buckets.push(row.try_get_by_index::<i32>(0).unwrap());
    }
    assert!(buckets[0] != buckets[1] && !buckets[..2].contains(&buckets[2]), "choose other names");
    let (a, b) = (buckets[0], buckets[1]);
    let swap = format!(
        "CREATE TEMP TABLE two AS SELECT bucket, wrapped FROM data_keys WHERE bucket IN ({a}, {b});
         UPDATE data_keys SET wrapped = (SELECT wrapped FROM two WHERE two.bucket = {a} + {b} - data_keys.bucket)
         WHERE bucket IN ({a}, {b})"
    );
    database.execute_unprepared(&swap).await.unwrap();
    let byokd = byokd.restart().await;
    for workspace in ["acme", "globex"] {
        let status = byokd.resolve(workspace, "", "openai").await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::DataLoss, "RECORD_CORRUPT"),
            "{workspace}"
        );
    }
    assert_eq!(byokd.secret("bystander", "openai").await.unwrap(), openai_key(3));
    // A new record is not sealed under what does not open, either.
    let status = byokd.admin().set_key(new_key("acme", "openai", &openai_key(5))).await.unwrap_err();
    assert_eq!(reason(&status), "RECORD_CORRUPT");
}

/// It is in memory still; what it sealed opens, and what is sealed now is sealed under its successor.
#[tokio::test]
async fn nothing_is_sealed_under_a_data_key_that_was_retired_meanwhile() {
    let (byokd, database) = world().await;
    database.execute_unprepared("UPDATE data_keys SET state = 'retired'").await.unwrap();
    byokd.set_key("acme", "openai", &openai_key(5)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(5));
    assert_eq!(byokd.secret("globex", "openai").await.unwrap(), openai_key(2));
    let version = "SELECT data_key_version FROM provider_keys WHERE workspace_id = $1 AND state = 'active'";
    for (workspace, expected) in [("acme", 2_i64), ("globex", 1)] {
        let rows = select(&database, version, workspace).await;
        assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), expected, "{workspace}");
    }
}

/// A model list is not sealed; garbage in it can only refuse models, and only for the keys that share it.
#[tokio::test]
async fn a_garbage_model_list_refuses_models_and_nothing_else() {
    let (mut byokd, database) = world().await;
    byokd.provider.models_ok(&["small-2030"]);
    byokd.set_key("bystander", "openai", &openai_key(3)).await;
    byokd.set_platform_key("openai", &openai_key(0)).await;
    for body in ["''", "'\r\n\n\u{fffd}'", "x'fffe00'", "hex(zeroblob(100000))"] {
        let sql = format!(
            "UPDATE model_lists SET body = {body} WHERE hash = \
             (SELECT model_list_hash FROM provider_keys WHERE workspace_id = 'acme' AND state = 'active')"
        );
        database.execute_unprepared(&sql).await.unwrap();
        // A list that is in memory is not read again.
        byokd = byokd.restart().await;
        let refusal = reason(&byokd.resolve("acme", "small", "openai").await.unwrap_err());
        assert!(["MODEL_NOT_AVAILABLE", "RECORD_CORRUPT"].contains(&refusal.as_str()), "{body}: {refusal}");
        assert_eq!(byokd.secret("bystander", "openai").await.unwrap(), openai_key(3), "{body}");
    }
}
