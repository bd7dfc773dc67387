//! Many concurrent changes: none fails because of the others, none is lost, and none is seen half.

use std::collections::BTreeSet;

use byokd::contract::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::support::{
    Byokd, Rows,
    byokd::{Keys, for_a_crowd},
    new_key, openai_key, reason,
    rows::number,
    store,
};

/// Fifty; fewer on PostgreSQL, where a change that waits too long for its turn is refused, and the machine
/// decides how long a turn takes.
fn many() -> u32 {
    if store::is_postgres() { 12 } else { 50 }
}

/// Runs one call for each number concurrently; returns the answers in the order of the numbers.
async fn at_once<T, F>(byokd: &Byokd, count: u32, call: impl Fn(Keys, u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(usize::try_from(count).unwrap()));
    let mut calls = JoinSet::new();
    for n in 0..count {
        let (call, start) = (call(byokd.admin(), n), std::sync::Arc::clone(&start));
        calls.spawn(async move {
            start.wait().await;
            (n, call.await)
        });
    }
    let mut answers = calls.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_keys_set_at_once_leave_one_active_and_a_history_of_the_others() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    let answers = at_once(&byokd, many(), |mut keys, n| async move {
        let request = v1::SetKeyRequest {
            enable_byo: true,
            ..new_key("acme", "openai", &openai_key(n))
        };
        keys.set_key(request).await
    });
    let answers: Vec<v1::SetKeyResponse> = answers
        .await
        .into_iter()
        .map(|answer| answer.unwrap().into_inner())
        .collect();
    let generation = |answer: &v1::SetKeyResponse| answer.key.as_ref().unwrap().generation;
    let revision = |answer: &v1::SetKeyResponse| answer.workspace.as_ref().unwrap().revision;
    let each_once: BTreeSet<u64> = (1..=u64::from(many())).collect();
    assert_eq!(
        answers.iter().map(generation).collect::<BTreeSet<_>>(),
        each_once
    );
    assert!(
        answers
            .iter()
            .all(|answer| generation(answer) == revision(answer))
    );
    let rows = Rows::of(&byokd.database().await, "acme").await;
    rows.assert_whole("fifty keys");
    assert_eq!(rows.revision, i64::from(many()));
    let superseded = rows
        .keys
        .iter()
        .filter(|key| key.state == "superseded" && !key.sealed);
    assert_eq!(superseded.count(), answers.len() - 1);
    // The last commit wins, and its key is served.
    let last = (0..)
        .zip(&answers)
        .find(|(_, answer)| generation(answer) == u64::from(many()))
        .unwrap()
        .0;
    assert_eq!(
        byokd.secret("acme", "openai").await.unwrap(),
        openai_key(last)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_fifty_workspaces_set_at_once_are_all_there() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    let answers = at_once(&byokd, many(), |mut keys, n| async move {
        let request = v1::SetKeyRequest {
            enable_byo: true,
            ..new_key(&format!("acme-{n}"), "openai", &openai_key(n))
        };
        keys.set_key(request).await
    });
    for (n, answer) in (0..).zip(answers.await) {
        answer.unwrap();
        let served = byokd.secret(&format!("acme-{n}"), "openai").await.unwrap();
        assert_eq!(served, openai_key(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_admins_with_the_same_expected_revision_one_wins() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    for round in 0..10 {
        let answers = at_once(&byokd, 2, |mut keys, n| async move {
            let request = v1::SetKeyRequest {
                expected_revision: Some(round),
                enable_byo: true,
                ..new_key("acme", "openai", &openai_key(n))
            };
            keys.set_key(request).await
        });
        let answers = answers.await;
        let winner = (0..)
            .zip(&answers)
            .find(|(_, answer)| answer.is_ok())
            .unwrap()
            .0;
        let lost: Vec<&Status> = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .collect();
        assert_eq!(lost.len(), 1, "{answers:?}");
        assert_eq!(
            (lost[0].code(), reason(lost[0]).as_str()),
            (Code::Aborted, "REVISION_MISMATCH")
        );
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            openai_key(winner)
        );
        assert_eq!(byokd.workspace("acme").await.revision, round + 1);
    }
}

/// One change of the `n`-th kind; refusals that it allows are no failure.
async fn any_change(mut keys: Keys, n: u32) -> Result<(), Status> {
    let (workspace_id, provider) = ("acme".to_owned(), "openai".to_owned());
    match n % 6 {
        0 => keys
            .set_key(new_key("acme", "openai", &openai_key(n)))
            .await
            .map(drop),
        1 => {
            let key = format!("sk-ant-api03-SYNTHETIC-{n:08}-abcdefgh");
            keys.set_key(new_key("acme", "anthropic", &key))
                .await
                .map(drop)
        }
        2 => {
            let enabled = Some(n % 12 == 2);
            let request = v1::ToggleByoRequest {
                workspace_id,
                enabled,
                ..Default::default()
            };
            keys.toggle_byo(request).await.map(drop)
        }
        3 => {
            let model = "small".to_owned();
            let request = v1::SelectModelRequest {
                workspace_id,
                provider,
                model,
                ..Default::default()
            };
            keys.select_model(request).await.map(drop)
        }
        4 => {
            let request = v1::VerifyKeyRequest {
                workspace_id,
                provider,
                ..Default::default()
            };
            keys.verify_key(request).await.map(drop)
        }
        _ => {
            let request = v1::DeleteKeyRequest {
                workspace_id,
                provider,
                ..Default::default()
            };
            keys.delete_key(request).await.map(drop)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_changes_of_every_kind_at_once_are_each_whole() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    byokd.set_key("acme", "openai", &openai_key(1_000)).await;
    for answer in at_once(&byokd, many(), any_change).await {
        // A key that was deleted or replaced meanwhile cannot be verified; nothing else is refused.
        if let Err(status) = answer {
            assert_eq!(reason(&status), "KEY_NOT_FOUND", "{status:?}");
        }
    }
    let database = byokd.database().await;
    let rows = Rows::of(&database, "acme").await;
    rows.assert_whole("every kind");
    assert_eq!(rows.generations["openai"], 1 + many().div_ceil(6));
    assert_eq!(rows.generations["anthropic"], (many() + 4) / 6);
    let shown = byokd.workspace("acme").await;
    assert_eq!(
        (i64::try_from(shown.revision).unwrap(), shown.byo_enabled),
        (rows.revision, rows.byo_enabled)
    );
    let served = byokd.toggle("acme", true).await;
    assert_eq!(
        byokd.secret("acme", "openai").await.is_ok(),
        rows.active("openai").is_some(),
        "{served:?}"
    );
    // Commit order is sequence order, across all workspaces.
    let gaps = "SELECT max(sequence) - count(*) FROM change_log";
    assert_eq!(number(&database, gaps).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_twenty_times_at_once_is_one_change_with_one_answer() {
    let byokd = Byokd::start_with(for_a_crowd).await;
    let answers = at_once(&byokd, many().min(20), |mut keys, _| async move {
        let request = v1::SetKeyRequest {
            request_id: "retried".into(),
            enable_byo: true,
            ..new_key("acme", "openai", &openai_key(1))
        };
        keys.set_key(request).await.unwrap().into_inner()
    });
    let answers = answers.await;
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(answers[0].key.as_ref().unwrap().generation, 1);
    let rows = Rows::of(&byokd.database().await, "acme").await;
    rows.assert_whole("one request id");
    assert_eq!((rows.revision, rows.keys.len(), rows.remembered), (1, 1, 1));
    // Its name with another content is refused, then and now.
    let other = at_once(&byokd, 5, |mut keys, n| async move {
        let request = v1::SetKeyRequest {
            request_id: "other".into(),
            ..new_key("acme", "openai", &openai_key(n))
        };
        keys.set_key(request).await
    });
    let (set, refused): (Vec<_>, Vec<_>) = other.await.into_iter().partition(Result::is_ok);
    assert_eq!(set.len(), 1);
    for status in refused.into_iter().filter_map(Result::err) {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::AlreadyExists, "REQUEST_ID_REUSED")
        );
    }
}
