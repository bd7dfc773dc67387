//! DeleteWorkspace: delete keys and selections and switch BYO off. A tombstone keeps revision and generations.

use std::sync::Arc;

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{admitted::Admitted, caller::Rpc, error::Error, names::WorkspaceId},
    view::WorkspaceView,
};

/// Deletes a workspace.
pub async fn delete_workspace(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    meta: ChangeMeta,
) -> Result<WorkspaceView, Error> {
    let (rpc, scope) = (Rpc::DeleteWorkspace, workspace.scope());
    let request = ChangeRequest::new(rpc, scope, workspace.caller(), meta, &[]);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        draft.bury();
        let answer = planning.workspace_view(draft.workspace()?);
        Ok(Outcome::of_holder(draft, answer))
    })
    .await
}
