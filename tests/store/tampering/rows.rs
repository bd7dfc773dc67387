//! Rows that byokd would never write: damage, not an outage, and no panic.

use sea_orm::ConnectionTrait as _;

use super::{STALE, noticed, set, world};
use crate::support::{
    openai_key, reason,
    sql::{bytes, long_text},
    store::is_postgres,
};

fn holder(columns: &str) -> String {
    format!("UPDATE holders SET {columns} WHERE workspace_id = 'acme'")
}

/// A row that cannot be read is its own workspace's damage, not an outage.
#[tokio::test]
async fn values_of_another_shape_are_damage_of_their_workspace_alone() {
    noticed(&[
        ("headers: a list", set("headers = '[1]'")),
        (
            "headers: another value",
            set("headers = '{\"OpenAI-Organization\": 1e400}'"),
        ),
        ("an unknown verdict", set("verdict = 'SPLENDID'")),
        ("a negative count", set("refused_count = -1")),
        ("a negative revision", holder("revision = -1")),
        ("selections: a list", holder("selections = '[]'")),
        (
            "selections: another value",
            holder("selections = '{\"openai\": 5}'"),
        ),
        ("generations: a text", holder("generations = '\"many\"'")),
    ])
    .await;
}

/// PostgreSQL's types refuse such values in some columns.
#[tokio::test]
async fn values_of_another_type_are_refused_by_the_database_or_are_damage_too() {
    let no_json = format!("headers = {}", bytes("ff"));
    let cases = [
        ("headers: no JSON", set("headers = '{'")),
        ("headers: bytes", set(&no_json)),
        ("a time that is none", set("set_at = 'yesterday evening'")),
        ("a key id that is none", set("key_id = 'x'")),
        ("generations: no JSON", holder("generations = 'many'")),
    ];
    if !is_postgres() {
        return noticed(&cases).await;
    }
    let (_, database) = world().await;
    for (what, sql) in cases {
        let error = database
            .execute_unprepared(&sql)
            .await
            .expect_err(what)
            .to_string();
        assert!(error.contains("type"), "{what}: {error}");
    }
}

/// PostgreSQL allows times beyond the range of any program.
#[tokio::test]
async fn times_out_of_range_are_damage_of_their_workspace_alone() {
    if !is_postgres() {
        return noticed(&[(
            "a year of five digits",
            set("set_at = '12030-06-15T12:00:00Z'"),
        )])
        .await;
    }
    noticed(&[
        ("for ever", set("set_at = 'infinity'")),
        ("before all time", set("set_at = '-infinity'")),
        ("a check for ever", set("checked_at = 'infinity'")),
        ("a success for ever", set("verified_at = 'infinity'")),
        (
            "a refusal before all time",
            set("refused_since = '-infinity'"),
        ),
        ("a list for ever", set("models_as_of = 'infinity'")),
        ("a year of six digits", set("verified_at = '290000-01-01'")),
    ])
    .await;
}

/// byokd ignores times that it does not need; it handles its own, however far away they are.
#[tokio::test]
async fn bad_times_that_byokd_does_not_need_stop_no_call() {
    let (byokd, database) = world().await;
    let far = if is_postgres() {
        "infinity"
    } else {
        "9999-12-31T23:59:59Z"
    };
    for (table, columns) in [
        ("holders", &["updated_at"][..]),
        ("data_keys", &["created_at", "retired_at"]),
        ("change_log", &["at"]),
    ] {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = '{far}'"))
            .collect();
        let sql = format!("UPDATE {table} SET {}", columns.join(", "));
        database.execute_unprepared(&sql).await.unwrap();
    }
    for time in ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
        let times = [
            "set_at",
            "checked_at",
            "verified_at",
            "refused_since",
            "models_as_of",
        ];
        let columns: Vec<String> = times
            .iter()
            .map(|column| format!("{column} = '{time}'"))
            .collect();
        database
            .execute_unprepared(&set(&columns.join(", ")))
            .await
            .unwrap();
        byokd.pass(STALE);
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            openai_key(1),
            "{time}"
        );
        assert_eq!(byokd.workspace("acme").await.providers.len(), 1, "{time}");
    }
    let byokd = byokd.restart().await;
    for (n, workspace) in [(4, "acme"), (5, "globex")] {
        byokd.set_key(workspace, "openai", &openai_key(n)).await;
        assert_eq!(
            byokd.secret(workspace, "openai").await.unwrap(),
            openai_key(n)
        );
    }
    assert_eq!(
        byokd.secret("bystander", "openai").await.unwrap(),
        openai_key(3)
    );
}

/// A model list is not sealed; garbage in it can only refuse models, and only for the keys that share it.
#[tokio::test]
async fn a_garbage_model_list_refuses_models_and_nothing_else() {
    let (mut byokd, database) = world().await;
    byokd.provider.models_ok(&["small-2030"]);
    byokd.set_key("bystander", "openai", &openai_key(3)).await;
    byokd.set_platform_key("openai", &openai_key(0)).await;
    // PostgreSQL's text is always valid UTF-8.
    let no_text = if is_postgres() {
        "U&'\\FFFE'".to_owned()
    } else {
        bytes("fffe00")
    };
    for body in [
        "''".to_owned(),
        "'\r\n\n\u{fffd}'".to_owned(),
        no_text,
        long_text(200_000),
    ] {
        let sql = format!(
            "UPDATE model_lists SET body = {body} WHERE hash = \
             (SELECT model_list_hash FROM provider_keys WHERE workspace_id = 'acme' AND state = 'active')"
        );
        database.execute_unprepared(&sql).await.unwrap();
        // A list in memory is not read again.
        byokd = byokd.restart().await;
        let refusal = reason(&byokd.resolve("acme", "small", "openai").await.unwrap_err());
        assert!(
            ["MODEL_NOT_AVAILABLE", "RECORD_CORRUPT"].contains(&refusal.as_str()),
            "{body}: {refusal}"
        );
        assert_eq!(
            byokd.secret("bystander", "openai").await.unwrap(),
            openai_key(3),
            "{body}"
        );
    }
}
