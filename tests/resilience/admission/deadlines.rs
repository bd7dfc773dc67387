//! Every call ends: at its caller's deadline, at byokd's, and at the longest allowed one.

use byokd::contract::v1;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tonic::{Code, Request, Status, metadata::MetadataValue};

use crate::support::{Byokd, Reply, new_key, openai_key, store::is_postgres};

/// The message of byokd; the client's own library has another one.
fn assert_ended(answer: Result<(), Status>, what: &str) {
    let status = answer.expect_err(what);
    let message = "the call's deadline has passed";
    assert_eq!(
        (status.code(), status.message()),
        (Code::DeadlineExceeded, message),
        "{what}: {status:?}"
    );
}

/// For the other calls: a busy machine answers no call in 200 ms.
const PATIENT: Option<&str> = Some("60S");

fn by<T>(message: T, deadline: Option<&'static str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request
            .metadata_mut()
            .insert("grpc-timeout", MetadataValue::from_static(deadline));
    }
    request
}

async fn acme(byokd: &Byokd) -> v1::Workspace {
    let request = v1::GetWorkspaceRequest {
        workspace_id: "acme".to_owned(),
    };
    byokd
        .admin()
        .get_workspace(by(request, PATIENT))
        .await
        .unwrap()
        .into_inner()
        .workspace
        .unwrap()
}

/// The longest deadline: the provider never answers, and its own limit is longer.
async fn hung() -> Byokd {
    let byokd = Byokd::start_with(|config| {
        config.checks.deadline_ms = 600_000;
        config.limits.default_deadline_ms = 200;
        config.limits.longest_deadline_ms = 1_000;
    })
    .await;
    byokd.provider.on_list(Reply::hang());
    byokd
}

#[tokio::test]
async fn every_call_ends_at_its_deadline() {
    let byokd = hung().await;
    let set = async |deadline: Option<&'static str>| {
        byokd
            .admin()
            .set_key(by(new_key("acme", "openai", &openai_key(1)), deadline))
            .await
            .map(|_| ())
    };
    assert_ended(set(None).await, "no deadline");
    for longer in ["2S", "1H", "99999999H", "99999999S"] {
        assert_ended(set(Some(longer)).await, longer);
    }
    // A deadline that cannot be parsed is ignored.
    for unreadable in [
        "999999999H",
        "1s",
        "1",
        "S",
        "-1S",
        "1.5S",
        "0x10S",
        "1 S",
        "18446744073709551616n",
    ] {
        assert_ended(set(Some(unreadable)).await, unreadable);
    }
    // A shorter one counts; the client's library may report it first.
    for shorter in ["0n", "1n", "50m"] {
        let status = set(Some(shorter)).await.unwrap_err();
        assert!(
            matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
            "{shorter}: {status:?}"
        );
    }
    assert_eq!(
        acme(&byokd).await.revision,
        0,
        "a call that ended has changed something"
    );
}

#[tokio::test]
async fn a_call_that_waits_for_the_database_ends_too_and_its_change_is_whole_or_absent() {
    let byokd = Byokd::start_with(|config| config.limits.default_deadline_ms = 200).await;
    let toggle = async |enabled: bool, deadline: Option<&'static str>| {
        let request = v1::ToggleByoRequest {
            workspace_id: "acme".to_owned(),
            enabled: Some(enabled),
            ..Default::default()
        };
        byokd
            .admin()
            .toggle_byo(by(request, deadline))
            .await
            .map(|_| ())
    };
    toggle(true, PATIENT).await.unwrap();
    let database = byokd.database().await;
    let held = database.begin().await.unwrap();
    let lock = match is_postgres() {
        true => "LOCK TABLE holders IN ACCESS EXCLUSIVE MODE",
        false => "UPDATE holders SET revision = revision",
    };
    held.execute_unprepared(lock).await.unwrap();
    assert_ended(toggle(false, None).await, "the database is locked");
    held.rollback().await.unwrap();
    // A change that has begun continues without its caller, and may get the lock now.
    let workspace = acme(&byokd).await;
    let seen = (workspace.revision, workspace.byo_enabled);
    assert!([(1, true), (2, false)].contains(&seen), "{seen:?}");
    toggle(false, PATIENT).await.unwrap();
    assert!(!acme(&byokd).await.byo_enabled);
}
