//! An attacker with write access to the database: byokd notices a changed or moved record, for its workspace
//! alone.
//!
//! `rows` tampers with columns that are not sealed, `data_keys` with the data keys; `bounds` has the limits.

mod bounds;
mod data_keys;
mod rows;

use std::time::Duration;

use byokd::contract::v1;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tonic::Code;

use crate::support::{
    Byokd, Rows, new_key, openai_key, reason,
    sql::{begun, bytes, flipped, joined, random_id},
};

/// Longer than a cached workspace is served without a read: the change log does not show tampering.
const STALE: Duration = Duration::from_secs(10 * 60 + 1);

/// Two workspaces with a key each, and the platform with one; the tests do not touch `bystander`.
async fn world() -> (Byokd, DatabaseConnection) {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(0)).await;
    for (n, workspace) in [(1, "acme"), (2, "globex"), (3, "bystander")] {
        byokd.set_key(workspace, "openai", &openai_key(n)).await;
        byokd.toggle(workspace, true).await;
        // In memory: byokd notices damage nevertheless, and does not treat it as an outage.
        assert_eq!(
            byokd.secret(workspace, "openai").await.unwrap(),
            openai_key(n)
        );
    }
    let database = byokd.database().await;
    (byokd, database)
}

/// The sealed bytes of the active key of another holder.
fn sealed_of(workspace: &str) -> String {
    format!(
        "(SELECT sealed FROM provider_keys WHERE workspace_id = '{workspace}' AND state = 'active')"
    )
}

/// Sets columns of acme's active key.
fn set(columns: &str) -> String {
    format!("UPDATE provider_keys SET {columns} WHERE workspace_id = 'acme' AND state = 'active'")
}

/// A resolve of this workspace reports that its record is damaged, and nothing of its content.
async fn corrupt(byokd: &Byokd, workspace: &str, provider: &str, what: &str) {
    let model = if provider == "groq" { "whisper-9" } else { "" };
    let status = byokd
        .resolve(workspace, model, provider)
        .await
        .expect_err(what);
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DataLoss, "RECORD_CORRUPT"),
        "{what}: {workspace}: {status:?}"
    );
    // The operator's log has details that the caller does not get.
    assert!(!status.message().contains("SYNTHETIC"), "{what}");
}

/// Runs each of these statements for two workspaces, which the SQL calls acme and globex; waits until nothing
/// older is served, and expects a refusal for every acme, and for no other.
async fn noticed(cases: &[(&str, String)]) {
    let (byokd, database) = world().await;
    let acme = |n: usize| format!("acme-{n}");
    for (n, (what, sql)) in cases.iter().enumerate() {
        for (name, key) in [("acme", 1), ("globex", 2)] {
            byokd
                .set_key(&format!("{name}-{n}"), "openai", &openai_key(key))
                .await;
        }
        byokd.toggle(&acme(n), true).await;
        assert_eq!(
            byokd.secret(&acme(n), "openai").await.unwrap(),
            openai_key(1)
        );
        let sql = sql
            .replace("'acme'", &format!("'acme-{n}'"))
            .replace("'globex'", &format!("'globex-{n}'"));
        let done = database.execute_unprepared(&sql).await.unwrap();
        assert!(done.rows_affected() > 0, "{what} did nothing");
    }
    byokd.pass(STALE);
    let refused = async |byokd: &Byokd| {
        for (n, (what, _)) in cases.iter().enumerate() {
            corrupt(byokd, &acme(n), "openai", what).await;
        }
        for (n, workspace) in [(1, "acme"), (2, "globex"), (3, "bystander")] {
            assert_eq!(
                byokd.secret(workspace, "openai").await.unwrap(),
                openai_key(n),
                "{cases:?}"
            );
        }
    };
    refused(&byokd).await;
    // The same after a restart, which succeeds.
    refused(&byokd.restart().await).await;
}

#[tokio::test]
async fn a_record_from_another_workspace_or_from_the_platform_does_not_open() {
    let whole_row = |from: &str| {
        format!(
            "DELETE FROM provider_keys WHERE workspace_id = 'acme';
             UPDATE provider_keys SET scope = 'workspace', workspace_id = 'acme' WHERE workspace_id = '{from}'"
        )
    };
    noticed(&[
        (
            "sealed bytes of another workspace",
            set(&format!("sealed = {}", sealed_of("globex"))),
        ),
        (
            "sealed bytes of the platform",
            set(&format!("sealed = {}", sealed_of(""))),
        ),
        ("the whole row of another workspace", whole_row("globex")),
        ("the whole row of the platform", whole_row("")),
    ])
    .await;
}

/// Under the platform's name, too: the platform cannot use a customer's key, nor the other way round.
#[tokio::test]
async fn swapped_records_open_in_neither_workspace() {
    let exchange = |a: &str, b: &str| {
        let scope = |id: &str| {
            if id.is_empty() {
                "platform"
            } else {
                "workspace"
            }
        };
        let moved = |from: &str, to: &str| {
            format!(
                "UPDATE provider_keys SET state = 'active', scope = '{}', workspace_id = '{to}' \
                 WHERE workspace_id = '{from}' AND state = 'moving'",
                scope(to)
            )
        };
        // One after the other: two would be active at once.
        format!(
            "UPDATE provider_keys SET state = 'moving' WHERE workspace_id = '{a}';
             UPDATE provider_keys SET workspace_id = '{a}', scope = '{}' WHERE workspace_id = '{b}' AND state = 'active';
             {}",
            scope(a),
            moved(a, b)
        )
    };
    let (byokd, database) = world().await;
    database
        .execute_unprepared(&exchange("acme", "globex"))
        .await
        .unwrap();
    byokd.pass(STALE);
    for workspace in ["acme", "globex"] {
        corrupt(&byokd, workspace, "openai", "rows of two workspaces").await;
    }
    assert_eq!(
        byokd.secret("stranger", "openai").await.unwrap(),
        openai_key(0)
    );
    let (byokd, database) = world().await;
    database
        .execute_unprepared(&exchange("acme", ""))
        .await
        .unwrap();
    byokd.pass(STALE);
    // An unknown workspace would get the platform's.
    for workspace in ["acme", "stranger"] {
        corrupt(
            &byokd,
            workspace,
            "openai",
            "rows of a workspace and the platform",
        )
        .await;
    }
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(2)
    );
}

#[tokio::test]
async fn a_record_with_another_key_id_does_not_open() {
    noticed(&[
        ("another key id", set(&format!("key_id = {}", random_id()))),
        ("another generation", set("generation = generation + 1")),
        ("an impossible generation", set("generation = -1")),
    ])
    .await;
    let (byokd, database) = world().await;
    database
        .execute_unprepared(&set("provider = 'groq'"))
        .await
        .unwrap();
    byokd.pass(STALE);
    corrupt(&byokd, "acme", "groq", "another provider").await;
}

#[tokio::test]
async fn an_edited_base_url_sends_no_key_even_to_another_allowed_host() {
    let (byokd, _) = world().await;
    // The second host of the catalog: allowed, but not the one that the key was set for.
    let other = format!("http://localhost:{}/v1", byokd.provider.port());
    let request = v1::SetKeyRequest {
        base_url: other,
        ..new_key("globex", "openai", &openai_key(4))
    };
    byokd.admin().set_key(request).await.unwrap();
    assert_eq!(
        byokd.secret("globex", "openai").await.unwrap(),
        openai_key(4)
    );
    drop(byokd);
    let replaced = "base_url = replace(base_url, '127.0.0.1', 'localhost')";
    let header = "headers = '{\"OpenAI-Organization\":\"org-of-the-attacker\"}'";
    noticed(&[
        ("another allowed host", set(replaced)),
        ("a header more", set(header)),
    ])
    .await;
}

#[tokio::test]
async fn a_record_with_an_attackers_host_is_refused_before_it_is_opened() {
    let (byokd, database) = world().await;
    for columns in [
        "base_url = 'https://attacker.example/v1'",
        "headers = '{\"X-Copy-To\":\"attacker\"}'",
    ] {
        database.execute_unprepared(&set(columns)).await.unwrap();
        byokd.pass(STALE);
        let status = byokd.resolve("acme", "", "openai").await.unwrap_err();
        assert_eq!(reason(&status), "ENDPOINT_NO_LONGER_ALLOWED", "{columns}");
        assert!(byokd.secret("bystander", "openai").await.is_ok());
    }
}

#[tokio::test]
async fn sealed_bytes_that_were_cut_flipped_or_emptied_do_not_open() {
    let sealed = |value: &str| set(&format!("sealed = {value}"));
    noticed(&[
        ("cut", sealed("substr(sealed, 1, length(sealed) - 1)")),
        ("the header alone", sealed("substr(sealed, 1, 71)")),
        ("empty", sealed(&bytes(""))),
        ("gone", sealed("NULL")),
        ("longer", sealed(&joined(&["sealed", &bytes("00")]))),
        ("another format", sealed(&begun("sealed", "63"))),
        ("a byte of the salt", sealed(&flipped("sealed", 10))),
        ("a byte of the commitment", sealed(&flipped("sealed", 40))),
        ("a byte of the text", sealed(&flipped("sealed", 75))),
    ])
    .await;
}

/// Setting the key again repairs a damaged record, as the message says.
#[tokio::test]
async fn setting_the_key_again_repairs_a_record() {
    let (byokd, database) = world().await;
    database
        .execute_unprepared(&set(&format!("sealed = {}", bytes("00"))))
        .await
        .unwrap();
    byokd.pass(STALE);
    assert!(byokd.resolve("acme", "", "openai").await.is_err());
    byokd.set_key("acme", "openai", &openai_key(6)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(6));
    Rows::of(&database, "acme").await.assert_whole("repaired");
}
