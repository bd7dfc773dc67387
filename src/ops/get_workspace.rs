//! GetWorkspace: what a settings page shows. Read from the database, never from a cache.

use super::{AppState, WorkspaceView};
use crate::domain::{
    admitted::Admitted, error::Error, names::WorkspaceId, resolution::key_damaged,
};

/// Reads a workspace; one never seen has the defaults and revision 0.
pub async fn get_workspace(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
) -> Result<WorkspaceView, Error> {
    let found = state.store.workspace(workspace).await?;
    if let Some(provider) = found.damaged.first() {
        return Err(key_damaged("the workspace's key", provider));
    }
    Ok(WorkspaceView::new(
        &found,
        &state.catalog,
        &state.policy.condemnation,
    ))
}
