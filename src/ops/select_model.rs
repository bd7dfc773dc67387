//! SelectModel: the model that is used when a call names none.
//!
//! Invariants: what the workspace's key surely cannot use is not selected. A selection is stored as it was chosen, so
//! that a family goes on meaning its best id.

use std::sync::Arc;

use super::{
    AppState, ChangeMeta, WorkspaceView,
    commit::{Intent, Planned, commit},
    view::remembered,
};
use crate::domain::{
    admitted::Admitted,
    caller::Rpc,
    catalog::Provider,
    error::Error,
    names::{ModelName, ProviderName, WorkspaceId},
    protocol::Protocol,
    resolution::{agreed, model_unknown, provider_unknown, usable},
    workspace::Workspace,
};

/// What is asked for.
#[derive(Debug)]
pub struct SelectModel {
    /// `None`: clear the selection.
    pub model: Option<ModelName>,
    /// Needed to clear, and outside the catalog.
    pub provider: Option<ProviderName>,
    /// What every change may carry.
    pub meta: ChangeMeta,
}

/// Selects a model.
pub async fn select_model(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    request: SelectModel,
) -> Result<WorkspaceView, Error> {
    let SelectModel {
        model,
        provider,
        meta,
    } = request;
    let provider = provider_of(state, model.as_ref(), provider)?;
    if let Some(model) = &model {
        configured(state, &provider)?;
        agreed(&state.catalog, &provider, model)?;
    }
    let fields = [
        provider.as_str(),
        model.as_ref().map_or("", ModelName::as_str),
    ];
    let intent = Intent::new(
        Rpc::SelectModel,
        workspace.scope(),
        workspace.caller(),
        meta,
        &fields,
    );
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        match &model {
            Some(model) => selectable(&planning, draft.workspace()?, &provider, model)?,
            None if planning.catalog.providers.contains_key(&provider) => {}
            // A selection outlives its provider's entry in the catalog and can still be cleared.
            None if draft.workspace()?.knows(&provider) => {}
            None => return Err(provider_unknown(&provider)),
        }
        draft.select(&provider, model);
        let workspace = draft.workspace()?;
        Ok(Planned {
            answer: WorkspaceView::new(workspace, &planning.catalog, &planning.policy.condemnation),
            before: remembered(draft.before(), &provider),
            after: remembered(draft.after(), &provider),
            provider: Some(provider.clone()),
            verdict: None,
        })
    })
    .await
}

fn provider_of(
    state: &AppState,
    model: Option<&ModelName>,
    provider: Option<ProviderName>,
) -> Result<ProviderName, Error> {
    match (
        model.and_then(|model| state.catalog.find(model.as_str())),
        provider,
    ) {
        (_, Some(provider)) => Ok(provider),
        (Some(listed), None) => Ok(listed.family().provider.clone()),
        (None, None) => Err(match model {
            None => Error::field("provider", "must be named to clear its selection"),
            Some(model) => model_unknown(
                model.as_str(),
                "name its provider to select it all the same",
            ),
        }),
    }
}

fn configured<'p>(state: &'p AppState, provider: &ProviderName) -> Result<&'p Provider, Error> {
    state
        .catalog
        .providers
        .get(provider)
        .ok_or_else(|| provider_unknown(provider))
}

fn selectable(
    state: &AppState,
    workspace: &Workspace,
    provider: &ProviderName,
    model: &ModelName,
) -> Result<(), Error> {
    let configured = configured(state, provider)?;
    let now = state.clock.now();
    let key = workspace.keys.get(provider);
    if state.catalog.find(model.as_str()).is_none()
        && key.is_none()
        && configured.protocol != Protocol::Local
    {
        return Err(model_unknown(
            model.as_str(),
            "only the workspace's own key could use it: set one",
        ));
    }
    // While the platform pays, its key's list is not the workspace's business.
    let fresh = key
        .filter(|_| workspace.byo_enabled)
        .and_then(|key| key.fresh_models(now));
    usable(&state.catalog, provider, model, fresh, now.date()).map(|_| ())
}
