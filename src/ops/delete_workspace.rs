//! DeleteWorkspace: keys and selections go, BYO is off, a tombstone keeps revision and generations.

use std::sync::Arc;

use super::{
    AppState, ChangeMeta, WorkspaceView,
    commit::{Intent, Planned, commit},
    view::remembered_all,
};
use crate::domain::{admitted::Admitted, caller::Rpc, error::Error, names::WorkspaceId};

/// Deletes a workspace.
pub async fn delete_workspace(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    meta: ChangeMeta,
) -> Result<WorkspaceView, Error> {
    let intent = Intent::new(
        Rpc::DeleteWorkspace,
        workspace.scope(),
        workspace.caller(),
        meta,
        &[],
    );
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        let before = remembered_all(draft.workspace()?);
        draft.bury();
        Ok(Planned {
            answer: WorkspaceView::new(
                draft.workspace()?,
                &planning.catalog,
                &planning.policy.condemnation,
            ),
            provider: None,
            before,
            after: remembered_all(draft.workspace()?),
            verdict: None,
        })
    })
    .await
}
