//! DeleteKey: delete the workspace's key for one provider. The key may be absent, and the provider may have left the
//! catalog.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        admitted::Admitted,
        caller::Rpc,
        error::Error,
        names::{ProviderName, WorkspaceId},
    },
    view::WorkspaceView,
};

/// The outcome of DeleteKey.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeleteKeyOutcome {
    /// The workspace without the key.
    pub workspace: WorkspaceView,
    /// Whether the workspace had a key.
    pub deleted: bool,
}

/// Deletes a key.
pub async fn delete_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    provider: ProviderName,
    meta: ChangeMeta,
) -> Result<DeleteKeyOutcome, Error> {
    let (scope, fields) = (workspace.scope(), [provider.as_str()]);
    let request = ChangeRequest::new(Rpc::DeleteKey, scope, workspace.caller(), meta, &fields);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        let deleted = draft.drop_key(&provider);
        let workspace = planning.workspace_view(draft.workspace()?);
        let answer = DeleteKeyOutcome { workspace, deleted };
        Ok(Outcome::of_provider(draft, provider, answer))
    })
    .await
}
