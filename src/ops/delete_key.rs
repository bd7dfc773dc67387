//! DeleteKey: the workspace's key for one provider goes. An absent key is fine; so is a provider no longer configured.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AppState, ChangeMeta, WorkspaceView,
    commit::{Intent, Planned, commit},
    view::remembered,
};
use crate::domain::{
    admitted::Admitted,
    caller::Rpc,
    error::Error,
    names::{ProviderName, WorkspaceId},
};

/// The workspace without the key.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeyDeleted {
    /// The workspace.
    pub workspace: WorkspaceView,
    /// Whether there was a key.
    pub deleted: bool,
}

/// Deletes a key.
pub async fn delete_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    provider: ProviderName,
    meta: ChangeMeta,
) -> Result<KeyDeleted, Error> {
    let scope = workspace.scope();
    let intent = Intent::new(
        Rpc::DeleteKey,
        scope,
        workspace.caller(),
        meta,
        &[provider.as_str()],
    );
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        let deleted = draft.drop_key(&provider);
        let workspace = WorkspaceView::new(
            draft.workspace()?,
            &planning.catalog,
            &planning.policy.condemnation,
        );
        Ok(Planned {
            answer: KeyDeleted { workspace, deleted },
            before: remembered(draft.before(), &provider),
            after: remembered(draft.after(), &provider),
            provider: Some(provider),
            verdict: None,
        })
    })
    .await
}
