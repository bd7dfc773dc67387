//! ToggleByo: use the platform's keys and credits, or the workspace's own keys.
//!
//! Invariants: BYO without keys is allowed and reported; it never falls back to the platform.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        admitted::Admitted, caller::Rpc, error::Error, names::WorkspaceId, protocol::Protocol,
        resolution::binding_allowed, selections::clear_unusable, workspace::Workspace,
    },
    view::WorkspaceView,
};

/// The outcome of ToggleByo.
#[derive(Debug, Deserialize, Serialize)]
pub struct ToggleByoOutcome {
    /// The workspace.
    pub workspace: WorkspaceView,
    /// The configured providers whose models cannot be used while BYO is on.
    pub providers_without_usable_key: Vec<String>,
    /// The models that the workspace's keys cannot use, by provider.
    pub cleared_selections: BTreeMap<String, String>,
}

/// Sets the toggle.
pub async fn toggle_byo(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    enabled: bool,
    meta: ChangeMeta,
) -> Result<ToggleByoOutcome, Error> {
    let (scope, fields) = (workspace.scope(), [if enabled { "on" } else { "off" }]);
    let request = ChangeRequest::new(Rpc::ToggleByo, scope, workspace.caller(), meta, &fields);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        draft.set_byo(enabled);
        // Under BYO the workspace's own keys limit the models.
        let cleared_selections = match enabled {
            true => clear_unusable(draft, &planning.catalog, None, planning.clock.now())?,
            false => BTreeMap::new(),
        };
        let after = draft.workspace()?;
        let answer = ToggleByoOutcome {
            workspace: planning.workspace_view(after),
            providers_without_usable_key: without_usable_key(&planning, after),
            cleared_selections,
        };
        Ok(Outcome::of_holder(draft, answer))
    })
    .await
}

fn without_usable_key(state: &AppState, workspace: &Workspace) -> Vec<String> {
    let providers = state.catalog.providers.values();
    providers
        .filter(|provider| provider.protocol != Protocol::Local)
        .filter(|provider| {
            !workspace.keys.get(&provider.name).is_some_and(|key| {
                binding_allowed(key, provider) && !key.health.condemned(&state.policy.condemnation)
            })
        })
        .map(|provider| provider.name.to_string())
        .collect()
}
