//! One call of each RPC, about a workspace and for a purpose.
//!
//! A request that would change something has one wrong field. byokd judges the caller first, so an admitted
//! caller gets FIELD_INVALID, and nothing changes for the next cell.

use byokd::{
    contract::v1::{
        self, key_service_client::KeyServiceClient, platform_service_client::PlatformServiceClient,
    },
    domain::caller::Rpc,
};
use tonic::{Request, Response, Status};

use super::callers::Caller;
use crate::support::{ask, new_key, openai_key};

/// RPCs whose request has a wrong field.
pub(super) const CHANGES: [&str; 9] = [
    "SetKey",
    "VerifyKey",
    "SelectModel",
    "DeleteKey",
    "ToggleByo",
    "DeleteWorkspace",
    "SetPlatformKey",
    "VerifyPlatformKey",
    "DeletePlatformKey",
];

fn bare<T>(answer: Result<Response<T>, Status>) -> Result<(), Status> {
    answer.map(|_| ())
}

pub(super) async fn call(
    caller: &Caller,
    rpc: Rpc,
    workspace: &str,
    purpose: &str,
) -> Result<(), Status> {
    let mut keys = KeyServiceClient::new(caller.channel.clone());
    let mut platform = PlatformServiceClient::new(caller.channel.clone());
    let (workspace_id, provider) = (workspace.to_owned(), "openai".to_owned());
    let on_behalf_of = "x".repeat(257);
    match rpc {
        Rpc::ResolveCredentials => bare(
            keys.resolve_credentials(caller.asks(ask(workspace, "llama", "", purpose)))
                .await,
        ),
        Rpc::ExplainResolution => {
            let (model, purpose) = ("llama".to_owned(), purpose.to_owned());
            let request = v1::ExplainResolutionRequest {
                workspace_id,
                model,
                purpose,
                ..Default::default()
            };
            bare(keys.explain_resolution(caller.asks(request)).await)
        }
        Rpc::ReportOutcome => {
            let request = v1::ReportOutcomeRequest {
                workspace_id,
                ..Default::default()
            };
            bare(keys.report_outcome(caller.asks(request)).await)
        }
        Rpc::WatchInvalidations => {
            let request = v1::WatchInvalidationsRequest {
                all: true,
                ..Default::default()
            };
            bare(keys.watch_invalidations(caller.asks(request)).await)
        }
        Rpc::SetKey => {
            let request = v1::SetKeyRequest {
                on_behalf_of,
                ..new_key(workspace, "openai", &openai_key(1))
            };
            bare(keys.set_key(caller.asks(request)).await)
        }
        Rpc::VerifyKey => {
            let request = v1::VerifyKeyRequest {
                workspace_id,
                provider: "NO".into(),
                ..Default::default()
            };
            bare(keys.verify_key(caller.asks(request)).await)
        }
        Rpc::SelectModel => {
            let model = "small".to_owned();
            let request = v1::SelectModelRequest {
                workspace_id,
                model,
                on_behalf_of,
                ..Default::default()
            };
            bare(keys.select_model(caller.asks(request)).await)
        }
        Rpc::DeleteKey => {
            let request = v1::DeleteKeyRequest {
                workspace_id,
                provider,
                on_behalf_of,
                ..Default::default()
            };
            bare(keys.delete_key(caller.asks(request)).await)
        }
        Rpc::ToggleByo => {
            let request = v1::ToggleByoRequest {
                workspace_id,
                enabled: None,
                ..Default::default()
            };
            bare(keys.toggle_byo(caller.asks(request)).await)
        }
        Rpc::ListModels => {
            let request = v1::ListModelsRequest {
                workspace_id,
                ..Default::default()
            };
            bare(keys.list_models(caller.asks(request)).await)
        }
        Rpc::GetWorkspace => bare(
            keys.get_workspace(caller.asks(v1::GetWorkspaceRequest { workspace_id }))
                .await,
        ),
        Rpc::DeleteWorkspace => {
            let request = v1::DeleteWorkspaceRequest {
                workspace_id,
                on_behalf_of,
                ..Default::default()
            };
            bare(keys.delete_workspace(caller.asks(request)).await)
        }
        Rpc::ListAuditEvents => {
            let request = v1::ListAuditEventsRequest {
                workspace_id,
                ..Default::default()
            };
            bare(keys.list_audit_events(caller.asks(request)).await)
        }
        Rpc::ListKeyUsage => {
            let request = v1::ListKeyUsageRequest {
                workspace_id,
                ..Default::default()
            };
            bare(keys.list_key_usage(caller.asks(request)).await)
        }
        Rpc::SetPlatformKey => {
            let api_key = openai_key(2);
            let request = v1::SetPlatformKeyRequest {
                provider,
                api_key,
                on_behalf_of,
                ..Default::default()
            };
            bare(platform.set_platform_key(caller.asks(request)).await)
        }
        Rpc::VerifyPlatformKey => {
            let request = v1::VerifyPlatformKeyRequest {
                provider: "NO".into(),
                ..Default::default()
            };
            bare(platform.verify_platform_key(caller.asks(request)).await)
        }
        Rpc::DeletePlatformKey => {
            let request = v1::DeletePlatformKeyRequest {
                provider,
                on_behalf_of,
                ..Default::default()
            };
            bare(platform.delete_platform_key(caller.asks(request)).await)
        }
        Rpc::ListPlatformKeys => bare(
            platform
                .list_platform_keys(caller.asks(v1::ListPlatformKeysRequest {}))
                .await,
        ),
        Rpc::ListPlatformAuditEvents => {
            let request = v1::ListPlatformAuditEventsRequest::default();
            bare(
                platform
                    .list_platform_audit_events(caller.asks(request))
                    .await,
            )
        }
    }
}

impl Caller {
    fn asks<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
    }
}
