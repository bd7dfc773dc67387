//! Sealed records and data keys, as the database shows them before and after a rewrap.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use crate::support::{
    Process,
    fleet::{Fleet, set_keys},
    rows::number,
    until,
};

pub(super) const RECORDS: u32 = 16;

/// The parts of the live keys that must not change, and the sealed bytes that must.
pub(super) async fn live_keys(database: &DatabaseConnection) -> Vec<(String, String, Vec<u8>)> {
    let text = match database.get_database_backend() {
        sea_orm::DbBackend::Postgres => "key_id::text",
        _ => "hex(key_id)",
    };
    let sql = format!(
        "SELECT {text} || ' ' || workspace_id || ' ' || provider || ' ' || generation || ' ' || base_url || ' ' || \
         masked AS fixed, {text} AS key_id, sealed FROM provider_keys \
         WHERE state = 'active' AND workspace_id LIKE 'w%' ORDER BY workspace_id"
    );
    let rows = database
        .query_all_raw(Statement::from_string(database.get_database_backend(), sql))
        .await;
    let read = |row: &sea_orm::QueryResult| {
        let text = |name: &str| row.try_get::<String>("", name).unwrap();
        (
            text("key_id"),
            text("fixed"),
            row.try_get("", "sealed").unwrap(),
        )
    };
    rows.unwrap().iter().map(read).collect()
}

/// Records whose data key is not active any more.
pub(super) async fn left_behind(database: &DatabaseConnection) -> i64 {
    let sql = "SELECT count(*) FROM provider_keys JOIN data_keys ON data_keys.bucket = provider_keys.bucket \
               AND data_keys.version = provider_keys.data_key_version \
               WHERE provider_keys.state = 'active' AND data_keys.state <> 'active'";
    number(database, sql).await
}

pub(super) async fn data_keys(database: &DatabaseConnection, state: &str) -> i64 {
    number(
        database,
        &format!("SELECT count(*) FROM data_keys WHERE state = '{state}'"),
    )
    .await
}

pub(super) async fn started_with_keys(fleet: &Fleet) -> (Process, DatabaseConnection) {
    let process = fleet.start().await;
    set_keys(&process, RECORDS).await;
    let database = fleet.database().await;
    until("all data keys exist", async || {
        (data_keys(&database, "active").await == 256).then_some(())
    })
    .await;
    (process, database)
}

/// A killed rewrap's claim after a long silence.
pub(super) async fn let_the_claim_die(database: &DatabaseConnection) {
    database
        .execute_unprepared("UPDATE rewraps SET alive_at = alive_at - 16")
        .await
        .unwrap();
}
