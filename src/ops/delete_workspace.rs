//! DeleteWorkspace: keys and selections go, BYO is off, a tombstone keeps revision and generations.

use std::sync::Arc;

use super::{
    ChangeMeta, Parts, WorkspaceView,
    commit::{Intent, Planned, commit},
    view::remembered_all,
};
use crate::domain::{
    error::Error,
    names::{Scope, WorkspaceId},
    principal::{Principal, Rpc},
};

/// Deletes a workspace.
pub async fn delete_workspace(
    parts: &Arc<Parts>,
    caller: &Principal,
    workspace: WorkspaceId,
    meta: ChangeMeta,
) -> Result<WorkspaceView, Error> {
    let intent = Intent::new(Rpc::DeleteWorkspace, Scope::Workspace(workspace), caller, meta, &[]);
    let planning = Arc::clone(parts);
    commit(parts, intent, move |draft| {
        let before = remembered_all(draft.workspace()?);
        draft.bury();
        Ok(Planned {
            answer: WorkspaceView::new(draft.workspace()?, &planning.catalog, &planning.policy.condemnation),
            provider: None,
            before,
            after: remembered_all(draft.workspace()?),
            verdict: None,
        })
    })
    .await
}
