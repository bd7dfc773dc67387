//! A retried change returns its first result: one change, one key check, one answer, for 24 hours and across
//! restarts.

mod change;

use std::{collections::HashMap, time::Duration};

use byokd::contract::v1;
use change::{Change, EVERY};
use tonic::Code;

use crate::support::{Byokd, byokd::for_a_crowd, new_key, openai_key, reason, refused};

async fn revisions(byokd: &Byokd) -> (u64, u64) {
    let request = v1::ListPlatformKeysRequest {};
    let platform = byokd.operator().list_platform_keys(request).await.unwrap();
    (
        byokd.workspace("acme").await.revision,
        platform.into_inner().revision,
    )
}

/// One id for all: it belongs to the RPC, and to the workspace or the platform.
#[tokio::test]
async fn a_retry_gets_the_first_result_also_after_a_restart() {
    let byokd = Byokd::start().await;
    let mut first = Vec::new();
    for (change, expected) in EVERY.into_iter().zip([0, 1, 2, 3, 4, 0, 1]) {
        let answer = change
            .make(&byokd, "r-1", "ann", Some(expected))
            .await
            .unwrap();
        assert_eq!(
            change
                .make(&byokd, "r-1", "ann", Some(expected))
                .await
                .unwrap(),
            answer
        );
        first.push((change, expected, answer));
    }
    assert_eq!(revisions(&byokd).await, (5, 2));
    let calls = byokd.provider.requests().len();
    assert_eq!(calls, 2 * 2, "a list and a generation for each of two keys");
    let byokd = byokd.restart().await;
    for (change, expected, answer) in first {
        let again = change.make(&byokd, "r-1", "ann", Some(expected)).await;
        assert_eq!(again.unwrap(), answer, "{change:?}");
    }
    assert_eq!(revisions(&byokd).await, (5, 2));
    assert_eq!(byokd.provider.requests().len(), calls);
    let workspace = byokd.workspace("acme").await;
    assert!(
        !workspace.byo_enabled && workspace.providers.is_empty(),
        "nothing was done again"
    );
}

#[tokio::test]
async fn two_concurrent_requests_with_one_id_make_one_change() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    let mut answers = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut admin = byokd.admin();
        let request = v1::SetKeyRequest {
            request_id: "r-1".into(),
            ..new_key("acme", "openai", &openai_key(1))
        };
        running.spawn(async move { admin.set_key(request).await.unwrap().into_inner() });
    }
    while let Some(answer) = running.join_next().await {
        answers.push(answer.unwrap());
    }
    assert_eq!(answers.len(), 8);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(byokd.workspace("acme").await.revision, 1);
}

#[tokio::test]
async fn the_same_id_with_another_payload_is_refused() {
    let byokd = Byokd::start().await;
    let local = format!("http://localhost:{}/v1", byokd.provider.port());
    let first = v1::SetKeyRequest {
        request_id: "r-1".into(),
        expected_revision: Some(0),
        ..new_key("acme", "openai", &openai_key(1))
    };
    byokd.admin().set_key(first.clone()).await.unwrap();
    byokd.provider.forget_requests();
    type Edit<'a> = &'a dyn Fn(&mut v1::SetKeyRequest);
    let rows: [(&str, Edit<'_>); 12] = [
        ("provider", &|r| r.provider = "groq".into()),
        ("api_key", &|r| r.api_key = openai_key(2)),
        ("base_url", &|r| r.base_url = local.clone()),
        ("headers", &|r| {
            r.headers = HashMap::from([("OpenAI-Project".into(), "p".into())]);
        }),
        ("model", &|r| r.model = "large".into()),
        ("enable_byo", &|r| r.enable_byo = true),
        ("validate_only", &|r| r.validate_only = true),
        ("allow_unverified", &|r| r.allow_unverified = true),
        ("expected_revision", &|r| r.expected_revision = Some(1)),
        ("no expected_revision", &|r| r.expected_revision = None),
        ("on_behalf_of", &|r| r.on_behalf_of = "bob".into()),
        // The same text in another field is another payload.
        ("moved", &|r| {
            r.expected_revision = None;
            r.on_behalf_of = "0".into();
        }),
    ];
    for (what, edit) in rows {
        let mut request = first.clone();
        edit(&mut request);
        let status = byokd.admin().set_key(request).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::AlreadyExists, "REQUEST_ID_REUSED"),
            "{what}"
        );
    }
    assert!(byokd.provider.requests().is_empty());
    assert_eq!(byokd.workspace("acme").await.revision, 1);
    let elsewhere = v1::SetKeyRequest {
        workspace_id: "globex".into(),
        api_key: openai_key(2),
        ..first
    };
    byokd.admin().set_key(elsewhere).await.unwrap();
}

#[tokio::test]
async fn every_change_refuses_its_own_id_with_another_payload() {
    let byokd = Byokd::start().await;
    for change in EVERY {
        change.make(&byokd, "r-1", "ann", None).await.unwrap();
    }
    let before = revisions(&byokd).await;
    for change in EVERY {
        for (by, expected) in [("bob", None), ("ann", Some(0))] {
            assert_eq!(
                refused(change.make(&byokd, "r-1", by, expected).await),
                "REQUEST_ID_REUSED",
                "{change:?}"
            );
        }
    }
    let toggle = |enabled| v1::ToggleByoRequest {
        workspace_id: "acme".into(),
        enabled: Some(enabled),
        request_id: "r-1".into(),
        on_behalf_of: "ann".into(),
        ..Default::default()
    };
    assert_eq!(
        refused(byokd.admin().toggle_byo(toggle(false)).await),
        "REQUEST_ID_REUSED"
    );
    let select = v1::SelectModelRequest {
        workspace_id: "acme".into(),
        model: "small".into(),
        request_id: "r-1".into(),
        on_behalf_of: "ann".into(),
        ..Default::default()
    };
    assert_eq!(
        refused(byokd.admin().select_model(select).await),
        "REQUEST_ID_REUSED"
    );
    assert_eq!(revisions(&byokd).await, before);
}

#[tokio::test]
async fn an_id_is_forgotten_after_a_day() {
    let byokd = Byokd::start().await;
    for change in EVERY {
        change.make(&byokd, "r-1", "ann", None).await.unwrap();
    }
    byokd.pass(Duration::from_secs(24 * 3600 - 1));
    for change in EVERY {
        let reused = change.make(&byokd, "r-1", "bob", None).await;
        assert_eq!(refused(reused), "REQUEST_ID_REUSED", "{change:?}");
    }
    byokd.pass(Duration::from_secs(1));
    let before = revisions(&byokd).await;
    for change in EVERY {
        change.make(&byokd, "r-1", "bob", None).await.unwrap();
    }
    assert_eq!(revisions(&byokd).await, (before.0 + 5, before.1 + 2));
}

/// A change that found nothing to do is remembered, too: its retry does not undo later changes.
#[tokio::test]
async fn a_retry_of_a_change_without_effect_does_not_undo_later_ones() {
    let byokd = Byokd::start().await;
    let request = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        request_id: "r-1".into(),
        ..Default::default()
    };
    let first = byokd
        .admin()
        .delete_key(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(!first.deleted);
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    assert_eq!(
        byokd
            .admin()
            .delete_key(request)
            .await
            .unwrap()
            .into_inner(),
        first
    );
    assert!(byokd.workspace("acme").await.providers[0].key.is_some());
}

#[tokio::test]
async fn a_refused_attempt_is_not_remembered() {
    let byokd = Byokd::start().await;
    byokd.provider.set_valid_keys(&[&openai_key(2)]);
    let request = |n| v1::SetKeyRequest {
        request_id: "r-1".into(),
        ..new_key("acme", "openai", &openai_key(n))
    };
    for _ in 0..2 {
        assert_eq!(
            refused(byokd.admin().set_key(request(1)).await),
            "KEY_REJECTED"
        );
    }
    let validated = v1::SetKeyRequest {
        validate_only: true,
        ..request(2)
    };
    byokd.admin().set_key(validated).await.unwrap();
    byokd.admin().set_key(request(2)).await.unwrap();
    assert_eq!(
        refused(byokd.admin().set_key(request(1)).await),
        "REQUEST_ID_REUSED"
    );
    let stale = Change::ToggleByo.make(&byokd, "r-1", "", Some(7)).await;
    assert_eq!(refused(stale), "REVISION_MISMATCH");
    Change::ToggleByo
        .make(&byokd, "r-1", "", Some(1))
        .await
        .unwrap();
    assert_eq!(byokd.workspace("acme").await.revision, 2);
}
