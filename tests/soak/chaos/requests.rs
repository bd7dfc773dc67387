//! The requests of the load, and the meaning of their answers.

use byokd::contract::v1::{self, BillingMode, KeySource};
use tonic::Status;

use super::{
    expected::Call,
    ledger::{Answer, Change, PLATFORM_KEY, Sent, Tracked},
};
use crate::support::{byokd::Keys, reason};

pub(super) fn is_missing(status: &Status) -> bool {
    status.code() == tonic::Code::FailedPrecondition && reason(status) == "BYO_KEY_MISSING"
}

pub(super) fn meaning(response: &v1::ResolveCredentialsResponse) -> Result<Answer, String> {
    let key = response
        .key
        .as_ref()
        .ok_or("an answer without a key reference")?;
    let api_key = response
        .credential
        .as_ref()
        .ok_or("an answer without a credential")?
        .api_key
        .clone();
    let mode = response.billing.as_ref().map(v1::Billing::mode);
    match (key.source(), mode) {
        (KeySource::Workspace, Some(BillingMode::Byo)) if api_key != PLATFORM_KEY => {
            Ok(Answer::Own {
                generation: key.generation,
                api_key,
            })
        }
        (KeySource::Platform, Some(BillingMode::Credits)) if api_key == PLATFORM_KEY => {
            Ok(Answer::Platform)
        }
        (source, mode) => Err(format!("{source:?} pays as {mode:?} with {api_key}")),
    }
}

pub(super) async fn workspace(keys: &mut Keys, tracked: &Tracked) -> Result<v1::Workspace, Status> {
    let request = v1::GetWorkspaceRequest {
        workspace_id: tracked.id.clone(),
    };
    keys.get_workspace(request)
        .await
        .map(|response| response.into_inner().workspace.unwrap())
}

/// Sends a change; returns the workspace after it.
pub(super) async fn make(
    mut keys: Keys,
    tracked: &Tracked,
    sent: &Sent,
) -> (Call, Result<v1::Workspace, Status>) {
    let (workspace_id, request_id) = (tracked.id.clone(), sent.request_id.clone());
    let provider = "openai".to_owned();
    match sent.change {
        Change::Set(number) => {
            let request = v1::SetKeyRequest {
                workspace_id,
                provider,
                api_key: tracked.key(number),
                enable_byo: true,
                request_id,
                ..Default::default()
            };
            let set = keys.set_key(request).await;
            (
                Call::SetKey,
                set.map(|response| response.into_inner().workspace.unwrap()),
            )
        }
        Change::Toggle(enabled) => {
            let request = v1::ToggleByoRequest {
                workspace_id,
                enabled: Some(enabled),
                request_id,
                ..Default::default()
            };
            let toggled = keys.toggle_byo(request).await;
            (
                Call::ToggleByo,
                toggled.map(|response| response.into_inner().workspace.unwrap()),
            )
        }
        Change::Delete => {
            let request = v1::DeleteKeyRequest {
                workspace_id,
                provider,
                request_id,
                ..Default::default()
            };
            let deleted = keys.delete_key(request).await;
            (
                Call::DeleteKey,
                deleted.map(|response| response.into_inner().workspace.unwrap()),
            )
        }
    }
}
