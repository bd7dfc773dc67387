//! More calls than byokd serves at once: the order of refusal, and its form.

use byokd::{contract::v1, domain::caller::Role};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::{RESOLVE, Rough};
use crate::support::{Byokd, Reply, ask, new_key, openai_key, reason, until};

/// A list, a change and a resolve of the same caller; `true`: admitted.
async fn let_in(byokd: &Byokd) -> (bool, bool, bool) {
    let mut keys = byokd.keys_with(&byokd.token(&[Role::Admin, Role::Resolver], "*", &[]));
    let workspace_id = "acme".to_owned();
    let list = v1::GetWorkspaceRequest {
        workspace_id: workspace_id.clone(),
    };
    // A change that changes nothing.
    let change = v1::ToggleByoRequest {
        workspace_id,
        enabled: Some(false),
        ..Default::default()
    };
    (
        judged(keys.get_workspace(list).await),
        judged(keys.toggle_byo(change).await),
        judged(keys.resolve_credentials(ask("acme", "llama", "", "")).await),
    )
}

fn judged<T>(answer: Result<T, Status>) -> bool {
    let Err(status) = answer else { return true };
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "OVERLOADED"),
        "{status:?}"
    );
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(std::time::Duration::from_secs(1)));
    false
}

#[tokio::test]
async fn lists_are_refused_before_changes_and_changes_before_resolves() {
    let byokd = Byokd::start_with(|config| {
        config.limits.calls = 4;
        config.checks.deadline_ms = 600_000;
    })
    .await;
    byokd.provider.on_list(Reply::hang());
    assert_eq!(let_in(&byokd).await, (true, true, true));
    let mut hung = tokio::task::JoinSet::new();
    for running in 1..=3_u32 {
        let mut admin = byokd.admin();
        hung.spawn(async move {
            admin
                .set_key(new_key(
                    &format!("w{running}"),
                    "openai",
                    &openai_key(running),
                ))
                .await
        });
        let expected = (running < 2, running < 3, true);
        // The answered calls may hold their permits for a moment longer.
        until(&format!("{running} are running"), async || {
            (let_in(&byokd).await == expected).then_some(())
        })
        .await;
    }
    until("health is answered", async || {
        let served = HealthClient::new(byokd.channel())
            .check(HealthCheckRequest::default())
            .await
            .unwrap();
        (served.into_inner().status == 1).then_some(())
    })
    .await;
    // Cancelled calls release their permits.
    hung.shutdown().await;
    until("all have room", async || {
        (let_in(&byokd).await == (true, true, true)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_without_a_message_do_not_use_up_the_limit() {
    let byokd = Byokd::start_with(|config| config.limits.calls = 4).await;
    let mut rough = Rough::connect(&byokd).await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        stalled.push(rough.stall(RESOLVE).await.unwrap());
    }
    rough.settle().await.unwrap();
    assert_eq!(let_in(&byokd).await, (true, true, true));
    // They do not last either.
    let (answer, _message) = stalled.pop().unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(
        answer.headers().get("grpc-status").unwrap(),
        "4",
        "DEADLINE_EXCEEDED"
    );
}
