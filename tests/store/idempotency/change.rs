//! Every change that takes a request id, made in the same way.

use byokd::contract::v1;
use tonic::Status;

use crate::support::{Byokd, new_key, openai_key};
use Change::*;

/// The changes that take a request id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    SetKey,
    ToggleByo,
    SelectModel,
    DeleteKey,
    DeleteWorkspace,
    SetPlatformKey,
    DeletePlatformKey,
}

/// In an order in which each changes something.
pub(super) const EVERY: [Change; 7] = [
    SetKey,
    ToggleByo,
    SelectModel,
    DeleteKey,
    DeleteWorkspace,
    SetPlatformKey,
    DeletePlatformKey,
];

impl Change {
    /// Makes the change for acme; the answer is everything in it.
    pub(super) async fn make(
        self,
        byokd: &Byokd,
        request_id: &str,
        on_behalf_of: &str,
        expected_revision: Option<u64>,
    ) -> Result<String, Status> {
        let (workspace_id, provider) = ("acme".to_owned(), "openai".to_owned());
        let (request_id, on_behalf_of) = (request_id.to_owned(), on_behalf_of.to_owned());
        let (mut admin, mut operator) = (byokd.admin(), byokd.operator());
        Ok(match self {
            SetKey => {
                let request = v1::SetKeyRequest {
                    request_id,
                    on_behalf_of,
                    expected_revision,
                    ..new_key("acme", "openai", &openai_key(1))
                };
                format!("{:?}", admin.set_key(request).await?.into_inner())
            }
            ToggleByo => {
                let request = v1::ToggleByoRequest {
                    workspace_id,
                    enabled: Some(true),
                    request_id,
                    on_behalf_of,
                    expected_revision,
                };
                format!("{:?}", admin.toggle_byo(request).await?.into_inner())
            }
            SelectModel => {
                let request = v1::SelectModelRequest {
                    workspace_id,
                    model: "large".into(),
                    provider,
                    request_id,
                    on_behalf_of,
                    expected_revision,
                };
                format!("{:?}", admin.select_model(request).await?.into_inner())
            }
            DeleteKey => {
                let request = v1::DeleteKeyRequest {
                    workspace_id,
                    provider,
                    request_id,
                    on_behalf_of,
                    expected_revision,
                };
                format!("{:?}", admin.delete_key(request).await?.into_inner())
            }
            DeleteWorkspace => {
                let request = v1::DeleteWorkspaceRequest {
                    workspace_id,
                    request_id,
                    on_behalf_of,
                    expected_revision,
                };
                format!("{:?}", admin.delete_workspace(request).await?.into_inner())
            }
            SetPlatformKey => {
                let request = v1::SetPlatformKeyRequest {
                    provider,
                    api_key: openai_key(1),
                    request_id,
                    on_behalf_of,
                    expected_revision,
                    ..Default::default()
                };
                format!(
                    "{:?}",
                    operator.set_platform_key(request).await?.into_inner()
                )
            }
            DeletePlatformKey => {
                let request = v1::DeletePlatformKeyRequest {
                    provider,
                    request_id,
                    on_behalf_of,
                    expected_revision,
                };
                format!(
                    "{:?}",
                    operator.delete_platform_key(request).await?.into_inner()
                )
            }
        })
    }
}
