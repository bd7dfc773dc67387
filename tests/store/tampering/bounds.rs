//! Changes that the database refuses by itself; and changes that stay unnoticed, which byokd does not claim
//! to prevent.

use sea_orm::{ConnectionTrait as _, SqlErr};

use super::{STALE, world};
use crate::support::{Byokd, openai_key, reason, sql::random_id};

/// The database, not the code: a second active key cannot be inserted.
#[tokio::test]
async fn the_database_itself_refuses_a_second_active_key() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.set_platform_key("openai", &openai_key(2)).await;
    let database = byokd.database().await;
    let columns = "scope, workspace_id, provider, state, sealed, bucket, data_key_version, base_url, headers, masked, \
                   refused_count, set_by, on_behalf_of, set_at";
    let id = random_id();
    for scope in ["workspace", "platform"] {
        let insert = format!(
            "INSERT INTO provider_keys (key_id, generation, {columns}) \
             SELECT {id}, 2, {columns} FROM provider_keys WHERE scope = '{scope}'"
        );
        let error = database.execute_unprepared(&insert).await.unwrap_err();
        assert!(
            matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))),
            "{error}"
        );
        // The constraint is on the state.
        let source = format!("SELECT {id}, 2, scope, workspace_id, provider,");
        let inactive = insert.replace(
            &format!("{source} state"),
            &format!("{source} 'superseded'"),
        );
        database.execute_unprepared(&inactive).await.unwrap();
    }
}

#[tokio::test]
async fn not_claimed_replaying_an_old_full_row_is_not_detected() {
    let (byokd, database) = world().await;
    database
        .execute_unprepared(
            "CREATE TABLE backup AS SELECT * FROM provider_keys WHERE workspace_id = 'acme'",
        )
        .await
        .unwrap();
    byokd.set_key("acme", "openai", &openai_key(7)).await;
    let replay = "DELETE FROM provider_keys WHERE workspace_id = 'acme';
                  INSERT INTO provider_keys SELECT * FROM backup";
    database.execute_unprepared(replay).await.unwrap();
    byokd.pass(STALE);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
}

#[tokio::test]
async fn not_claimed_flipping_who_pays_or_deleting_a_key_is_not_detected() {
    let (byokd, database) = world().await;
    let flip = "UPDATE holders SET byo_enabled = FALSE WHERE workspace_id = 'acme'";
    database.execute_unprepared(flip).await.unwrap();
    byokd.pass(STALE);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(0));
    database
        .execute_unprepared("DELETE FROM provider_keys WHERE workspace_id = 'globex'")
        .await
        .unwrap();
    byokd.pass(STALE);
    let status = byokd.resolve("globex", "", "openai").await.unwrap_err();
    assert_eq!(reason(&status), "BYO_KEY_MISSING");
}
