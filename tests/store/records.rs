//! The rows that a change writes in its transaction, and requests that write none.

use std::time::Duration;

use byokd::contract::v1;
use serde_json::{Value, json};

use crate::support::{
    Byokd, Rows, new_key, openai_key, refused,
    rows::{number, select},
    sql::{all, holding, text},
    until,
};

#[tokio::test]
async fn a_change_writes_its_log_row_audit_row_and_result() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    let request = v1::SetKeyRequest {
        enable_byo: true,
        request_id: "request-7".into(),
        on_behalf_of: "jane@acme.example".into(),
        ..new_key("acme", "openai", &openai_key(2))
    };
    let set = byokd.admin().set_key(request).await.unwrap().into_inner();
    let database = byokd.database().await;
    let logged = all(
        &database,
        "SELECT sequence, scope, workspace_id, revision FROM change_log ORDER BY sequence",
    )
    .await;
    for (row, expected) in logged.iter().zip(1_i64..) {
        assert_eq!(row.try_get::<i64>("", "sequence").unwrap(), expected);
        assert_eq!(row.try_get::<i64>("", "revision").unwrap(), expected);
        assert_eq!(
            (text(row, "scope"), text(row, "workspace_id")),
            ("workspace".into(), "acme".into())
        );
    }
    assert_eq!(logged.len(), 2);
    let events = select(
        &database,
        "SELECT * FROM audit_events WHERE workspace_id = $1 ORDER BY revision",
        "acme",
    )
    .await;
    let (first, second) = (&events[0], &events[1]);
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(
            ["actor", "action", "provider", "scope", "verdict"].map(|column| text(event, column)),
            ["tests", "SetKey", "openai", "workspace", "VALID"]
        );
    }
    assert_eq!(
        (text(first, "on_behalf_of"), text(first, "request_id")),
        (String::new(), String::new())
    );
    assert_eq!(
        (text(second, "on_behalf_of"), text(second, "request_id")),
        ("jane@acme.example".into(), "request-7".into())
    );
    let (before, after): (Value, Value) = (
        second.try_get("", "before").unwrap(),
        second.try_get("", "after").unwrap(),
    );
    let nothing = json!({ "key": null, "byo_enabled": false, "selected_model": null });
    assert_eq!(first.try_get::<Value>("", "before").unwrap(), nothing);
    assert_eq!(
        (&before["key"]["generation"], &before["key"]["masked"]),
        (&json!(1), &json!("…efgh"))
    );
    assert_eq!(before["byo_enabled"], json!(false));
    let key = set.key.unwrap();
    assert_eq!(
        (&after["key"]["generation"], &after["key"]["key_id"]),
        (&json!(2), &json!(key.key_id))
    );
    assert_eq!(after["byo_enabled"], json!(true));
    let results = select(
        &database,
        "SELECT * FROM request_results WHERE workspace_id = $1",
        "acme",
    )
    .await;
    assert_eq!(results.len(), 1);
    assert_eq!(
        (text(&results[0], "rpc"), text(&results[0], "request_id")),
        ("SetKey".into(), "request-7".into())
    );
    assert_eq!(
        results[0].try_get::<Value>("", "result").unwrap()["key"]["key_id"],
        json!(key.key_id)
    );
    assert_eq!(
        results[0]
            .try_get::<Vec<u8>>("", "fingerprint")
            .unwrap()
            .len(),
        32
    );
}

#[tokio::test]
async fn a_platform_change_is_written_under_the_platforms_own_scope_and_revision() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.set_platform_key("openai", &openai_key(2)).await;
    let database = byokd.database().await;
    for table in ["change_log", "audit_events", "provider_keys", "holders"] {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE scope = 'platform' AND workspace_id = ''");
        assert_eq!(number(&database, &sql).await, 1, "{table}");
    }
    let sql = "SELECT revision FROM audit_events WHERE action = 'SetPlatformKey'";
    assert_eq!(number(&database, sql).await, 1);
}

/// `store::sqlite` and `production::plaintext` check the files of the database.
#[tokio::test]
async fn sealed_bytes_are_deleted_with_their_key_and_the_masked_history_stays() {
    let byokd = Byokd::start().await;
    let database = byokd.database().await;
    let mut ended: Vec<Vec<u8>> = Vec::new();
    for n in 1..=2 {
        byokd.set_key("acme", "openai", &openai_key(n)).await;
        let sealed = "SELECT sealed FROM provider_keys WHERE state = 'active'";
        ended.push(all(&database, sealed).await[0].try_get_by_index(0).unwrap());
        assert_eq!(
            holding(&database, ended.last().unwrap()).await,
            ["provider_keys.sealed"]
        );
    }
    let delete = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    assert!(
        byokd
            .admin()
            .delete_key(delete)
            .await
            .unwrap()
            .into_inner()
            .deleted
    );
    let history = all(
        &database,
        "SELECT state, masked, sealed IS NULL AND bucket IS NULL AND data_key_version IS NULL \
         AND ended_at IS NOT NULL AS emptied FROM provider_keys ORDER BY generation",
    )
    .await;
    let shown: Vec<_> = history
        .iter()
        .map(|row| (text(row, "state"), text(row, "masked")))
        .collect();
    assert_eq!(
        shown,
        [
            ("superseded".into(), "…efgh".into()),
            ("deleted".into(), "…efgh".into())
        ]
    );
    assert!(
        history
            .iter()
            .all(|row| row.try_get::<bool>("", "emptied").unwrap())
    );
    for sealed in &ended {
        // The part that is its own; the first bytes only name the data key.
        assert_eq!(
            holding(&database, &sealed[7..39]).await,
            Vec::<String>::new()
        );
    }
}

#[tokio::test]
async fn a_list_that_five_keys_share_is_stored_once() {
    let byokd = Byokd::start().await;
    for n in 0..5 {
        byokd
            .set_key(&format!("acme-{n}"), "openai", &openai_key(n))
            .await;
    }
    let database = byokd.database().await;
    let (lists, references) = (
        "SELECT count(*) FROM model_lists",
        "SELECT count(*) FROM provider_keys JOIN model_lists ON hash = model_list_hash",
    );
    assert_eq!(
        (
            number(&database, lists).await,
            number(&database, references).await
        ),
        (1, 5)
    );
    byokd.provider.models_ok(&["small-2030"]);
    byokd.set_key("acme-0", "openai", &openai_key(0)).await;
    assert_eq!(
        (
            number(&database, lists).await,
            number(&database, references).await
        ),
        (2, 5)
    );
}

#[tokio::test]
async fn a_request_without_effect_writes_nothing() {
    let byokd = Byokd::start().await;
    byokd.toggle("acme", true).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    let database = byokd.database().await;
    let before = Rows::of(&database, "acme").await;
    assert_eq!(
        byokd.toggle("acme", true).await.workspace.unwrap().revision,
        2
    );
    let delete = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "anthropic".into(),
        ..Default::default()
    };
    byokd.admin().delete_key(delete.clone()).await.unwrap();
    let verify = v1::VerifyKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    byokd.admin().verify_key(verify).await.unwrap();
    let only_tested = v1::SetKeyRequest {
        validate_only: true,
        ..new_key("acme", "openai", &openai_key(2))
    };
    byokd.admin().set_key(only_tested).await.unwrap();
    byokd.provider.set_valid_keys(&[]);
    byokd
        .admin()
        .set_key(new_key("acme", "openai", &openai_key(3)))
        .await
        .unwrap_err();
    assert_eq!(Rows::of(&database, "acme").await, before);
    // A read of a workspace, or a delete in an unknown one, does not create it.
    byokd.workspace("unknown").await;
    let delete = v1::DeleteKeyRequest {
        workspace_id: "unknown".into(),
        ..delete
    };
    byokd.admin().delete_key(delete).await.unwrap();
    let _ = byokd.resolve("unknown", "", "").await;
    assert_eq!(Rows::of(&database, "unknown").await.revision, 0);
    assert_eq!(
        number(
            &database,
            "SELECT count(*) FROM change_log WHERE workspace_id = 'unknown'"
        )
        .await,
        0
    );
}

/// Housekeeping runs as byokd starts: unreachable rows are deleted, and nothing else.
#[tokio::test]
async fn housekeeping_deletes_unreferenced_rows_and_nothing_else() {
    let byokd = Byokd::start().await;
    let named = |n: u32| v1::SetKeyRequest {
        request_id: format!("r-{n}"),
        enable_byo: true,
        ..new_key("acme", "openai", &openai_key(n))
    };
    byokd.admin().set_key(named(1)).await.unwrap();
    byokd.pass(Duration::from_secs(24 * 3600));
    byokd.provider.models_ok(&["small-2030"]);
    let second = byokd.admin().set_key(named(2)).await.unwrap().into_inner();
    let database = byokd.database().await;
    assert_eq!(
        number(&database, "SELECT count(*) FROM model_lists").await,
        2
    );
    let byokd = byokd.restart().await;
    until("one list, one result and what is old in the log, but its newest row, are deleted", async || {
        let left = "SELECT (SELECT count(*) FROM model_lists) + (SELECT count(*) FROM request_results) \
                    + (SELECT count(*) FROM change_log)";
        (number(&database, left).await <= 4).then_some(())
    })
    .await;
    assert_eq!(
        number(&database, "SELECT count(*) FROM change_log").await,
        2,
        "the log keeps its places"
    );
    assert_eq!(
        refused(byokd.resolve("acme", "large", "").await),
        "MODEL_NOT_AVAILABLE",
        "the list is there"
    );
    assert_eq!(
        byokd.admin().set_key(named(2)).await.unwrap().into_inner(),
        second,
        "and so is the result"
    );
}
