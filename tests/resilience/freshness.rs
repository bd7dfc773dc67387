//! Answers from memory: for how long, and without an answer of the database.

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tonic::Code;

use byokd::contract::v1;

use crate::support::{Byokd, openai_key, reason, refused, sql::random_id, until};

/// The longest time that an entry is served without being read again.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

async fn toggle_in_the_database(byokd: &Byokd, on: bool) {
    let sql = format!("UPDATE holders SET byo_enabled = {on} WHERE workspace_id = 'acme'");
    byokd
        .database()
        .await
        .execute_unprepared(&sql)
        .await
        .unwrap();
}

async fn rename(byokd: &Byokd, from: &str, to: &str) {
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    byokd
        .database()
        .await
        .execute_unprepared(&sql)
        .await
        .unwrap();
}

/// Removes the holders and the change log, and waits until byokd notices: from here on no poll confirms an
/// entry.
async fn outage(byokd: &Byokd) {
    rename(byokd, "change_log", "change_log_away").await;
    rename(byokd, "holders", "holders_away").await;
    until("degraded service", async || {
        byokd
            .resolve("acme", "", "openai")
            .await
            .unwrap()
            .degraded
            .then_some(())
    })
    .await;
}

/// An answer after the next poll, while byokd can read only the log.
async fn vouched_for(byokd: &Byokd) -> v1::ResolveCredentialsResponse {
    until("a poll", async || {
        byokd.resolve("acme", "", "openai").await.ok()
    })
    .await
}

/// A byokd whose workspace `acme` is in memory, with BYO on and a key.
async fn warm() -> Byokd {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    byokd
}

#[tokio::test]
async fn an_entry_is_served_from_memory_while_the_log_has_no_change() {
    let byokd = warm().await;
    rename(&byokd, "holders", "holders_away").await;
    byokd.pass(Duration::from_secs(5));
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    byokd.pass(MAX_AGE - Duration::from_secs(5));
    assert!(!vouched_for(&byokd).await.degraded);
}

#[tokio::test]
async fn a_commit_of_another_process_is_seen_by_the_next_poll() {
    let byokd = warm().await;
    let sql = format!(
        "UPDATE holders SET byo_enabled = FALSE, revision = revision + 1 WHERE workspace_id = 'acme'; \
         INSERT INTO change_log (change_id, scope, workspace_id, revision, at) \
         SELECT {}, scope, workspace_id, revision, updated_at FROM holders WHERE workspace_id = 'acme'",
        random_id()
    );
    byokd
        .database()
        .await
        .execute_unprepared(&sql)
        .await
        .unwrap();
    until("the platform's key", async || {
        (byokd.secret("acme", "openai").await.unwrap() == openai_key(1)).then_some(())
    })
    .await;
}

/// A restore from a copy, seen from inside: the newest change is gone, from the log as well; whether or not a
/// poll had seen it.
#[tokio::test]
async fn a_database_restored_under_a_running_byokd_is_served_as_it_is() {
    let byokd = warm().await;
    let sql = "DELETE FROM change_log WHERE sequence = (SELECT max(sequence) FROM change_log); \
               UPDATE holders SET byo_enabled = FALSE, revision = revision - 1 WHERE workspace_id = 'acme'";
    byokd
        .database()
        .await
        .execute_unprepared(sql)
        .await
        .unwrap();
    byokd.pass(Duration::from_secs(1));
    until("the platform's key", async || {
        (byokd.secret("acme", "openai").await.unwrap() == openai_key(1)).then_some(())
    })
    .await;
    byokd.set_key("acme", "openai", &openai_key(3)).await;
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(3));
}

#[tokio::test]
async fn an_edit_by_hand_is_seen_after_ten_minutes_at_the_latest() {
    let byokd = warm().await;
    toggle_in_the_database(&byokd, false).await;
    byokd.pass(MAX_AGE + Duration::from_millis(1));
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let byokd = warm().await;
    for n in 3..10 {
        byokd.set_key("acme", "openai", &openai_key(n)).await;
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(n));
    }
}

#[tokio::test]
async fn an_unknown_workspace_is_cached_and_expires_alike() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
}

#[tokio::test]
async fn without_the_database_entries_are_served_degraded_until_the_grace_ends() {
    let byokd = warm().await;
    outage(&byokd).await;
    byokd.pass(Duration::from_secs(6));
    let resolved = byokd.resolve("acme", "", "openai").await.unwrap();
    assert!(resolved.degraded);
    // Validated 6 s ago, a lease of 60 s may last 60 + 5 - 6 s.
    assert_eq!(resolved.lease.unwrap().ttl.unwrap().seconds, 59);
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(2));
    byokd.pass(Duration::from_secs(29));
    assert!(byokd.resolve("acme", "", "openai").await.unwrap().degraded);
    byokd.pass(Duration::from_secs(1));
    let status = byokd.resolve("acme", "", "openai").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );
    // A workspace that was never loaded is not guessed.
    let status = byokd.resolve("globex", "", "openai").await.unwrap_err();
    assert_eq!(reason(&status), "STORE_UNAVAILABLE");
    rename(&byokd, "holders_away", "holders").await;
    rename(&byokd, "change_log_away", "change_log").await;
    byokd.pass(Duration::from_secs(1));
    assert!(!byokd.resolve("acme", "", "openai").await.unwrap().degraded);
}

/// An answer uses the workspace and the platform: it is as old as the older of them.
#[tokio::test]
async fn an_answer_is_degraded_and_short_if_either_half_of_it_is_old() {
    for old_platform in [true, false] {
        let byokd = Byokd::start().await;
        byokd.set_platform_key("openai", &openai_key(1)).await;
        // One of them is loaded at 0 s, the other one at 4 s.
        let first = if old_platform { "globex" } else { "acme" };
        byokd.secret(first, "openai").await.unwrap();
        byokd.pass(Duration::from_secs(4));
        if !old_platform {
            byokd.set_platform_key("openai", &openai_key(2)).await;
        }
        let second = if old_platform { "acme" } else { "globex" };
        byokd.secret(second, "openai").await.unwrap();
        rename(&byokd, "holders", "holders_away").await;
        byokd.pass(MAX_AGE - Duration::from_secs(2));
        assert!(vouched_for(&byokd).await.degraded, "{old_platform}");
        // Entries that polls confirmed until 600 s are 6 s old.
        byokd.pass(Duration::from_secs(4));
        let resolved = byokd.resolve("acme", "", "openai").await.unwrap();
        assert_eq!(
            resolved.lease.unwrap().ttl.unwrap().seconds,
            59,
            "{old_platform}"
        );
    }
}

#[tokio::test]
async fn an_entry_never_goes_backwards() {
    let byokd = warm().await;
    let sql = "UPDATE holders SET revision = revision - 1 WHERE workspace_id = 'acme'";
    byokd
        .database()
        .await
        .execute_unprepared(sql)
        .await
        .unwrap();
    byokd.pass(MAX_AGE + Duration::from_secs(1));
    // The database shows an older state than this process has seen: byokd continues with its entries, as in
    // an outage.
    let resolved = vouched_for(&byokd).await;
    assert!(resolved.degraded);
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(2));
    byokd.pass(Duration::from_secs(34));
    assert!(byokd.resolve("acme", "", "openai").await.unwrap().degraded);
    byokd.pass(Duration::from_millis(1));
    assert_eq!(
        refused(byokd.resolve("acme", "", "openai").await),
        "STORE_UNAVAILABLE"
    );
}

#[tokio::test]
async fn a_change_that_fails_in_an_outage_does_not_end_degraded_service() {
    let byokd = warm().await;
    outage(&byokd).await;
    let request = v1::ToggleByoRequest {
        workspace_id: "acme".into(),
        enabled: Some(false),
        ..Default::default()
    };
    assert_eq!(
        refused(byokd.admin().toggle_byo(request).await),
        "STORE_UNAVAILABLE"
    );
    let request = v1::DeletePlatformKeyRequest {
        provider: "openai".into(),
        ..Default::default()
    };
    assert_eq!(
        refused(byokd.operator().delete_platform_key(request).await),
        "STORE_UNAVAILABLE"
    );
    byokd.pass(Duration::from_secs(6));
    assert!(byokd.resolve("acme", "", "openai").await.unwrap().degraded);
}

/// The commit may have happened although its answer is a failure: byokd reads the entry again before it uses
/// it.
#[tokio::test]
async fn after_a_failed_commit_the_entry_is_read_again_once() {
    let byokd = warm().await;
    rename(&byokd, "audit_events", "audit_events_away").await;
    let request = v1::ToggleByoRequest {
        workspace_id: "acme".into(),
        enabled: Some(false),
        ..Default::default()
    };
    assert_eq!(
        refused(byokd.admin().toggle_byo(request).await),
        "STORE_UNAVAILABLE"
    );
    rename(&byokd, "audit_events_away", "audit_events").await;
    toggle_in_the_database(&byokd, false).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    toggle_in_the_database(&byokd, true).await;
    assert_eq!(
        byokd.secret("acme", "openai").await.unwrap(),
        openai_key(1),
        "fresh again"
    );
}

#[tokio::test]
async fn a_degraded_answer_never_outlasts_a_short_lease() {
    let byokd = Byokd::start_with(|config| config.resolution.lease_seconds = 10).await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    byokd.secret("acme", "openai").await.unwrap();
    outage(&byokd).await;
    byokd.pass(Duration::from_secs(10));
    assert!(byokd.resolve("acme", "", "openai").await.unwrap().degraded);
    byokd.pass(Duration::from_millis(1));
    assert_eq!(
        refused(byokd.resolve("acme", "", "openai").await),
        "STORE_UNAVAILABLE"
    );
}

#[tokio::test]
async fn a_damaged_platform_key_does_not_touch_byo() {
    let byokd = warm().await;
    let sql = "UPDATE provider_keys SET headers = '[]' WHERE scope = 'platform'";
    byokd
        .database()
        .await
        .execute_unprepared(sql)
        .await
        .unwrap();
    byokd.pass(MAX_AGE + Duration::from_secs(1));
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    assert_eq!(
        refused(byokd.resolve("globex", "", "openai").await),
        "RECORD_CORRUPT"
    );
    // Only that key is refused, and setting it again repairs it.
    assert_eq!(
        byokd.resolve("globex", "llama", "").await.unwrap().model,
        "llama-1"
    );
    byokd.set_platform_key("openai", &openai_key(3)).await;
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(3)
    );
}
