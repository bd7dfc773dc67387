//! DeleteWorkspace: keys and selections go, BYO is off, a tombstone keeps revision and generations.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ChangeMeta, Parts, WorkspaceView,
    commit::{Intent, Planned, commit},
    view::remembered_key,
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
        let keys: serde_json::Map<String, Value> = draft
            .before()
            .keys()
            .iter()
            .map(|(provider, key)| (provider.to_string(), remembered_key(Some(key))))
            .collect();
        draft.bury();
        Ok(Planned {
            answer: WorkspaceView::new(draft.workspace()?, &planning.catalog, &planning.policy.condemnation),
            provider: None,
            before: json!({ "keys": keys }),
            after: Value::Null,
            verdict: None,
        })
    })
    .await
}
