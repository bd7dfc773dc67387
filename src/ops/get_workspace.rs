//! GetWorkspace: what a settings page shows. Read from the database, never from a cache.

use super::{Parts, WorkspaceView};
use crate::domain::{error::Error, names::WorkspaceId};

/// Reads a workspace; one never seen has the defaults and revision 0.
pub async fn get_workspace(parts: &Parts, workspace: &WorkspaceId) -> Result<WorkspaceView, Error> {
    let found = parts.store.workspace(workspace).await?;
    Ok(WorkspaceView::new(&found, &parts.catalog, &parts.policy.condemnation))
}
