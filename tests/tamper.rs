//! Someone who can write to the database: byokd notices a record that was changed or moved, for the workspace concerned
//! alone. `rows` does the same to what is not sealed, and `bounds` shows what the database refuses by itself, and what
//! is not noticed.

mod bounds;
mod rows;

use std::time::Duration;

use byokd::contract::v1;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tonic::Code;

use crate::support::{Byokd, Rows, new_key, openai_key, reason};

/// Longer than an entry of the directory is served without being read again: no log tells of what is done here.
const STALE: Duration = Duration::from_secs(10 * 60 + 1);

/// Two workspaces with a key each, and the platform with one; `bystander` is touched by nothing.
async fn world() -> (Byokd, DatabaseConnection) {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(0)).await;
    for (n, workspace) in [(1, "acme"), (2, "globex"), (3, "bystander")] {
        byokd.set_key(workspace, "openai", &openai_key(n)).await;
        byokd.toggle(workspace, true).await;
        // In memory: damage is noticed nevertheless, and not taken for an outage.
        assert_eq!(byokd.secret(workspace, "openai").await.unwrap(), openai_key(n));
    }
    let database = byokd.database().await;
    (byokd, database)
}

/// The sealed bytes of the active key of another holder.
fn sealed_of(workspace: &str) -> String {
    format!("(SELECT sealed FROM provider_keys WHERE workspace_id = '{workspace}' AND state = 'active')")
}

/// Sets columns of acme's active key.
fn set(columns: &str) -> String {
    format!("UPDATE provider_keys SET {columns} WHERE workspace_id = 'acme' AND state = 'active'")
}

/// Does this to the database, waits until nothing older is served, and expects a refusal for acme alone.
async fn noticed(what: &str, sql: &str) {
    let (byokd, database) = world().await;
    let done = database.execute_unprepared(sql).await.unwrap();
    assert!(done.rows_affected() > 0, "{what} did nothing");
    byokd.pass(STALE);
    let status = byokd.resolve("acme", "", "openai").await.expect_err(what);
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DataLoss, "RECORD_CORRUPT"),
        "{what}: {status:?}"
    );
    // What the operator reads elsewhere is not for the caller.
    assert!(!status.message().contains("SYNTHETIC"), "{what}");
    assert_eq!(byokd.secret("bystander", "openai").await.unwrap(), openai_key(3), "{what}");
    // And it stays so after a restart, which starts all the same.
    let byokd = byokd.restart().await;
    assert_eq!(
        reason(&byokd.resolve("acme", "", "openai").await.expect_err(what)),
        "RECORD_CORRUPT",
        "{what}"
    );
    assert_eq!(byokd.secret("bystander", "openai").await.unwrap(), openai_key(3), "{what}");
}

#[tokio::test]
async fn a_record_from_another_workspace_or_from_the_platform_does_not_open() {
    noticed("sealed bytes of another workspace", &set(&format!("sealed = {}", sealed_of("globex")))).await;
    noticed("sealed bytes of the platform", &set(&format!("sealed = {}", sealed_of("")))).await;
    for from in ["globex", ""] {
        let whole_row = format!(
            "DELETE FROM provider_keys WHERE workspace_id = 'acme';
             UPDATE provider_keys SET scope = 'workspace', workspace_id = 'acme' WHERE workspace_id = '{from}'"
        );
        noticed(&format!("the whole row of {from:?}"), &whole_row).await;
    }
}

#[tokio::test]
async fn a_record_under_another_identity_does_not_open() {
    noticed("another key id", &set("key_id = randomblob(16)")).await;
    noticed("another generation", &set("generation = generation + 1")).await;
    noticed("an impossible generation", &set("generation = -1")).await;
    let (byokd, database) = world().await;
    database.execute_unprepared(&set("provider = 'groq'")).await.unwrap();
    byokd.pass(STALE);
    let status = byokd.resolve("acme", "whisper-9", "groq").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DataLoss, "RECORD_CORRUPT"));
}

#[tokio::test]
async fn a_key_cannot_be_sent_elsewhere_by_the_database_not_even_to_another_allowed_host() {
    let (byokd, _) = world().await;
    // The second host of the catalog: allowed, but not the one that the key was set for.
    let other = format!("http://localhost:{}/v1", byokd.provider.port());
    let request = v1::SetKeyRequest { base_url: other, ..new_key("globex", "openai", &openai_key(4)) };
    byokd.admin().set_key(request).await.unwrap();
    assert_eq!(byokd.secret("globex", "openai").await.unwrap(), openai_key(4));
    drop(byokd);
    let replaced = "base_url = replace(base_url, '127.0.0.1', 'localhost')";
    noticed("another allowed host", &set(replaced)).await;
    noticed("a header more", &set("headers = '{\"OpenAI-Organization\":\"org-of-the-attacker\"}'")).await;
}

#[tokio::test]
async fn a_key_pointed_at_a_host_of_the_attackers_is_refused_before_it_is_opened() {
    let (byokd, database) = world().await;
    for columns in ["base_url = 'https://attacker.example/v1'", "headers = '{\"X-Copy-To\":\"attacker\"}'"] {
        database.execute_unprepared(&set(columns)).await.unwrap();
        byokd.pass(STALE);
        let status = byokd.resolve("acme", "", "openai").await.unwrap_err();
        assert_eq!(reason(&status), "ENDPOINT_NO_LONGER_ALLOWED", "{columns}");
        assert!(byokd.secret("bystander", "openai").await.is_ok());
    }
}

#[tokio::test]
async fn sealed_bytes_that_were_cut_flipped_or_emptied_do_not_open() {
    let flipped = |at: usize| {
        format!(
            "sealed = CAST(substr(sealed, 1, {at}) || (CASE WHEN substr(sealed, {at} + 1, 1) = x'00' THEN x'01' \
             ELSE x'00' END) || substr(sealed, {at} + 2) AS BLOB)"
        )
    };
    noticed("cut", &set("sealed = substr(sealed, 1, length(sealed) - 1)")).await;
    noticed("the header alone", &set("sealed = substr(sealed, 1, 71)")).await;
    noticed("empty", &set("sealed = x''")).await;
    noticed("gone", &set("sealed = NULL")).await;
    noticed("longer", &set("sealed = CAST(sealed || x'00' AS BLOB)")).await;
    noticed("another format", &set("sealed = CAST(x'63' || substr(sealed, 2) AS BLOB)")).await;
    noticed(
        "a data key that is not there",
        &set("sealed = CAST(x'01ffff00000009' || substr(sealed, 8) AS BLOB)"),
    )
    .await;
    noticed("a byte of the salt", &set(&flipped(10))).await;
    noticed("a byte of the commitment", &set(&flipped(40))).await;
    noticed("a byte of the text", &set(&flipped(75))).await;
}

/// Damage is mended as its message says: by setting the key again.
#[tokio::test]
async fn setting_the_key_again_mends_a_record() {
    let (byokd, database) = world().await;
    database.execute_unprepared(&set("sealed = x'00'")).await.unwrap();
    byokd.pass(STALE);
    assert!(byokd.resolve("acme", "", "openai").await.is_err());
    byokd.set_key("acme", "openai", &openai_key(6)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(6));
    Rows::of(&database, "acme").await.assert_whole("mended");
}
