//! SetKey: check a key with its provider and, unless the check refuses it, store it in place of the old one.
//!
//! Invariants: a refused key changes nothing, and the old one keeps serving. A selection stays if the new key can use it;
//! otherwise it is cleared and the answer says so.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    app_state::AppState,
    change::{Attempt, ChangeRequest, Outcome, RequestLookup},
    domain::{
        admitted::Admitted,
        caller::Rpc,
        error::Error,
        names::{ModelName, ProviderName, WorkspaceId},
        resolution::{agreed, offers, usable},
        selections::clear_unusable,
        workspace::{Platform, Workspace},
    },
    key_check::NewKey,
    view::{KeyView, ModelView, WorkspaceView},
};

/// The most models in an answer; ListModels has them all.
const MAX_MODELS: usize = 1000;

/// The fields of SetKey.
#[derive(Debug)]
pub struct SetKey {
    /// The key.
    pub key: NewKey,
    /// Also select this model.
    pub model: Option<ModelName>,
    /// Also switch BYO on.
    pub enable_byo: bool,
}

/// The outcome of SetKey.
#[derive(Debug, Deserialize, Serialize)]
pub struct SetKeyOutcome {
    /// The key, masked.
    pub key: KeyView,
    /// The models that the key can use, at most `MAX_MODELS`.
    pub models: Vec<ModelView>,
    /// The workspace.
    pub workspace: WorkspaceView,
    /// The models that the workspace's keys cannot use, by provider.
    pub cleared_selections: BTreeMap<String, String>,
}

/// Sets a workspace's key.
pub async fn set_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    request: SetKey,
) -> Result<SetKeyOutcome, Error> {
    let SetKey {
        key,
        model,
        enable_byo,
    } = request;
    let (caller, scope) = (workspace.caller(), workspace.scope());
    let change = {
        let model = model.as_ref().map_or("", ModelName::as_str);
        let mut fields = key.fields();
        fields.extend([model, if enable_byo { "byo" } else { "" }]);
        ChangeRequest::new(Rpc::SetKey, scope, caller, key.meta.clone(), &fields)
    };
    let validate_only = key.validate_only;
    let proposal = key.propose(&state.key_checker)?;
    let provider = proposal.provider.name.clone();
    let chosen = match &model {
        Some(model) => Some(agreed(&state.catalog, &provider, model)?),
        None => None,
    };
    let before = state.store.workspace(workspace).await?;
    let attempt = match Attempt::begin(&state.changes, change).await? {
        RequestLookup::Replayed(answer) => return Ok(answer),
        RequestLookup::Fresh(attempt) => attempt,
    };
    let limiter = state.key_checker.limiter();
    limiter.admit(&workspace.scope(), caller, &provider)?;
    attempt.check_revision(before.revision)?;
    let today = state.clock.now().date();
    if let Some(chosen) = chosen {
        // A retired model is refused before the key check.
        chosen.to_test(today)?;
    }
    let checked = proposal.check(&state.key_checker, caller).await?;
    if let Some(model) = &model {
        let listed = checked.models.as_ref().map(|list| &*list.models);
        usable(&state.catalog, &provider, model, listed, today)?;
    }
    if validate_only {
        return Ok(SetKeyOutcome {
            key: checked.view(&state.policy.condemnation),
            models: Vec::new(),
            workspace: state.workspace_view(&before),
            cleared_selections: BTreeMap::new(),
        });
    }
    let planning = Arc::clone(state);
    let plan = attempt.commit_sealed(move |draft, sealing| {
        let verdict = checked.verdict;
        let stored = checked.store(draft, sealing)?;
        if enable_byo {
            draft.set_byo(true);
        }
        if model.is_some() {
            draft.select(&provider, model);
        }
        let cleared_selections = match draft.workspace()?.byo_enabled {
            true => {
                // Switching BYO on makes the other providers' keys the paying ones, too.
                let only = (!enable_byo).then_some(&provider);
                clear_unusable(draft, &planning.catalog, only, planning.clock.now())?
            }
            // While the platform pays, the key does not limit the selections.
            false => BTreeMap::new(),
        };
        let workspace = draft.workspace()?;
        let answer = SetKeyOutcome {
            key: planning.key_view(&provider, &stored),
            models: usable_models(&planning, workspace, &provider),
            workspace: planning.workspace_view(workspace),
            cleared_selections,
        };
        Ok(Outcome::of_provider(draft, provider, answer).with_verdict(verdict))
    });
    plan.await
}

/// The models that the key can use, whether or not BYO is on.
fn usable_models(
    state: &AppState,
    workspace: &Workspace,
    provider: &ProviderName,
) -> Vec<ModelView> {
    let byo = Workspace {
        byo_enabled: true,
        ..workspace.clone()
    };
    offers(state.facts(&byo, &Platform::default()), Some(provider))
        .iter()
        .filter(|offer| offer.outcome.is_ok())
        .take(MAX_MODELS)
        .map(|offer| ModelView::new(offer, &state.catalog))
        .collect()
}
