//! SetKey: test a key with its provider and, if that does not refuse it, store it in place of the old one.
//!
//! Invariants: validated before it replaces; a refused key changes nothing and the old one keeps serving. A selection
//! survives if the new key can use it, else it is cleared and the answer says so.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    AppState, KeyView, ModelView, NewKey, WorkspaceView,
    commit::{Intent, Planned, commit_sealed, replayed},
    selections::clear_unusable,
    view::remembered,
};
use crate::domain::{
    admitted::Admitted,
    caller::Rpc,
    error::Error,
    names::{ModelName, ProviderName, WorkspaceId},
    resolution::{agreed, offers, usable},
    workspace::{Platform, Workspace},
};

/// How many models the answer holds at the most; ListModels has them all.
const MOST_MODELS: usize = 1000;

/// What is asked for.
#[derive(Debug)]
pub struct SetKey {
    /// The key.
    pub key: NewKey,
    /// Select this model, too.
    pub model: Option<ModelName>,
    /// Switch BYO on, too.
    pub enable_byo: bool,
}

/// What follows.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeySet {
    /// The key, masked.
    pub key: KeyView,
    /// What the key may use, the first thousand of it.
    pub models: Vec<ModelView>,
    /// The workspace.
    pub workspace: WorkspaceView,
    /// The selections that the workspace's keys cannot use, by provider.
    pub cleared_selections: BTreeMap<String, String>,
}

/// Sets a workspace's key.
pub async fn set_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    request: SetKey,
) -> Result<KeySet, Error> {
    let caller = workspace.caller();
    let SetKey {
        key,
        model,
        enable_byo,
    } = request;
    let intent = {
        let mut fields = key.fields();
        fields.extend([
            model.as_ref().map_or("", ModelName::as_str),
            if enable_byo { "byo" } else { "" },
        ]);
        let scope = workspace.scope();
        Intent::new(Rpc::SetKey, scope, caller, key.meta.clone(), &fields)
    };
    let proposed = key.propose(state)?;
    let provider = proposed.provider.name.clone();
    if let Some(model) = &model {
        agreed(&state.catalog, &provider, model)?;
    }
    let before = state.store.workspace(workspace).await?;
    if let Some(answer) = replayed(state, &intent).await? {
        return Ok(answer);
    }
    state.limiter.admit(&intent.scope, caller, &provider)?;
    intent.expects(before.revision)?;
    let today = state.clock.now().date();
    if let Some(model) = &model {
        // One that nobody serves any more needs no test call.
        agreed(&state.catalog, &provider, model)?.to_test(today)?;
    }
    let validate_only = proposed.new.validate_only;
    let tested = proposed.test(state, caller).await?;
    if let Some(model) = &model {
        usable(
            &state.catalog,
            &provider,
            model,
            tested.models.as_ref().map(|list| &*list.models),
            today,
        )?;
    }
    if validate_only {
        return Ok(KeySet {
            key: tested.view(state),
            models: Vec::new(),
            workspace: WorkspaceView::new(&before, &state.catalog, &state.policy.condemnation),
            cleared_selections: BTreeMap::new(),
        });
    }
    let planning = Arc::clone(state);
    commit_sealed(state, intent, move |draft, sealing| {
        let condemnation = &planning.policy.condemnation;
        let verdict = tested.verdict;
        let stored = tested.store(draft, sealing)?;
        if enable_byo {
            draft.set_byo(true);
        }
        if model.is_some() {
            draft.select(&provider, model);
        }
        let cleared_selections = match draft.workspace()?.byo_enabled {
            // Switching BYO on makes the other providers' keys the paying ones, too.
            true => clear_unusable(draft, &planning, (!enable_byo).then_some(&provider))?,
            // While the platform pays, its selections are not this key's business.
            false => BTreeMap::new(),
        };
        let workspace = draft.workspace()?;
        Ok(Planned {
            answer: KeySet {
                key: KeyView::new(&provider, &stored, condemnation),
                models: usable_models(&planning, workspace, &provider),
                workspace: WorkspaceView::new(workspace, &planning.catalog, condemnation),
                cleared_selections,
            },
            before: remembered(draft.before(), &provider),
            after: remembered(draft.after(), &provider),
            provider: Some(provider),
            verdict: Some(verdict),
        })
    })
    .await
}

/// What the key may use, whether or not BYO is on already.
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
        .take(MOST_MODELS)
        .map(|offer| ModelView::new(offer, &state.catalog))
        .collect()
}
