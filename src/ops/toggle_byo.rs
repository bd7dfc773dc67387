//! ToggleByo: the platform's keys and credits, or the workspace's own keys.
//!
//! Invariant: switching on without keys is allowed and reported; it never falls back.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    AppState, ChangeMeta, WorkspaceView,
    commit::{Intent, Planned, commit},
    selections::clear_unusable,
    view::remembered_all,
};
use crate::domain::{
    admitted::Admitted, caller::Rpc, error::Error, names::WorkspaceId, protocol::Protocol,
    resolution::binding_allowed, workspace::Workspace,
};

/// The toggle after the change.
#[derive(Debug, Deserialize, Serialize)]
pub struct ByoToggled {
    /// The workspace.
    pub workspace: WorkspaceView,
    /// Configured providers whose models do not run while BYO is on.
    pub providers_without_usable_key: Vec<String>,
    /// The selections that the workspace's keys cannot use, by provider.
    pub cleared_selections: BTreeMap<String, String>,
}

/// Sets the toggle.
pub async fn toggle_byo(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    enabled: bool,
    meta: ChangeMeta,
) -> Result<ByoToggled, Error> {
    let word = if enabled { "on" } else { "off" };
    let intent = Intent::new(
        Rpc::ToggleByo,
        workspace.scope(),
        workspace.caller(),
        meta,
        &[word],
    );
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        let before = remembered_all(draft.workspace()?);
        draft.set_byo(enabled);
        // Under BYO the workspace's own keys say what can be used.
        let cleared_selections = match enabled {
            true => clear_unusable(draft, &planning, None)?,
            false => BTreeMap::new(),
        };
        let after = draft.workspace()?;
        Ok(Planned {
            answer: ByoToggled {
                workspace: WorkspaceView::new(
                    after,
                    &planning.catalog,
                    &planning.policy.condemnation,
                ),
                providers_without_usable_key: without_usable_key(&planning, after),
                cleared_selections,
            },
            provider: None,
            before,
            after: remembered_all(after),
            verdict: None,
        })
    })
    .await
}

fn without_usable_key(state: &AppState, workspace: &Workspace) -> Vec<String> {
    let keyed = state
        .catalog
        .providers
        .values()
        .filter(|provider| provider.protocol != Protocol::Local);
    keyed
        .filter(|provider| {
            let key = workspace.keys.get(&provider.name);
            !key.is_some_and(|key| {
                binding_allowed(key, provider) && !key.health.condemned(&state.policy.condemnation)
            })
        })
        .map(|provider| provider.name.to_string())
        .collect()
}
