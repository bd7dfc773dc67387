//! GetWorkspace: the workspace of a settings page, from the database and never from a cache.

use crate::{
    app_state::AppState,
    domain::{admitted::Admitted, error::Error, names::WorkspaceId, resolution::key_damaged},
    view::WorkspaceView,
};

/// Reads a workspace. One that was never seen has the defaults and revision 0.
pub async fn get_workspace(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
) -> Result<WorkspaceView, Error> {
    let found = state.store.workspace(workspace).await?;
    match found.damaged.first() {
        Some(provider) => Err(key_damaged("the workspace's key", provider)),
        None => Ok(state.workspace_view(&found)),
    }
}
