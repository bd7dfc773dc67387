//! More calls than byokd serves at once: who is refused first, and how.

use byokd::{contract::v1, domain::principal::Role};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::{RESOLVE, Rough};
use crate::support::{Byokd, ask, reason, until};

/// A list, a change and a resolve of the same caller; `true`: let in.
async fn let_in(byokd: &Byokd) -> (bool, bool, bool) {
    let mut keys = byokd.keys_with(&byokd.token(&[Role::Admin, Role::Resolver], "*", &[]));
    let workspace_id = "acme".to_owned();
    let list = v1::GetWorkspaceRequest { workspace_id: workspace_id.clone() };
    // One that changes nothing.
    let change = v1::ToggleByoRequest { workspace_id, enabled: Some(false), ..Default::default() };
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
    let byokd = Byokd::start_with(|config| config.limits.calls = 16).await;
    assert_eq!(let_in(&byokd).await, (true, true, true));
    let mut rough = Rough::connect(&byokd).await;
    let mut stalled = Vec::new();
    let mut seen = Vec::new();
    for calls in 1..=16 {
        stalled.push(rough.stall(RESOLVE).await.unwrap());
        rough.settle().await.unwrap();
        let expected = (calls < 8, calls < 12, calls < 16);
        // The calls that were just answered may have their place for a moment longer.
        until(&format!("{calls} are running"), async || (let_in(&byokd).await == expected).then_some(()))
            .await;
        seen.push(expected);
    }
    assert_eq!(seen.len(), 16);
    // Nobody is asked who they are before that, and a health check is always answered.
    let nobody = v1::key_service_client::KeyServiceClient::new(byokd.channel())
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await;
    assert!(!judged(nobody));
    let served = HealthClient::new(byokd.channel()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(served.into_inner().status, 1);
    // One that is given up leaves its place.
    drop(stalled.pop());
    until("one has room", async || (let_in(&byokd).await == (false, false, true)).then_some(())).await;
    drop(stalled);
    rough.connection.abort();
    until("all have room", async || (let_in(&byokd).await == (true, true, true)).then_some(())).await;
}
