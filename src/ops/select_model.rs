//! SelectModel: set or clear the model for calls that name none.
//!
//! Invariants: a model that the workspace's key cannot use is refused. A selection is stored as the caller wrote it, so a
//! family goes on meaning its best id.

use std::sync::Arc;

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        admitted::Admitted,
        caller::Rpc,
        catalog::Provider,
        error::Error,
        names::{ModelName, ProviderName, WorkspaceId},
        protocol::Protocol,
        resolution::{agreed, model_unknown, provider_unknown, usable},
        workspace::Workspace,
    },
    view::WorkspaceView,
};

/// The fields of SelectModel.
#[derive(Debug)]
pub struct SelectModel {
    /// `None`: clear the selection.
    pub model: Option<ModelName>,
    /// Required to clear, and for a model outside the catalog.
    pub provider: Option<ProviderName>,
    /// The fields that every change has.
    pub meta: ChangeMeta,
}

/// Selects a model, or clears the selection.
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
    let model_field = model.as_ref().map_or("", ModelName::as_str);
    let (scope, fields) = (workspace.scope(), [provider.as_str(), model_field]);
    let request = ChangeRequest::new(Rpc::SelectModel, scope, workspace.caller(), meta, &fields);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        match &model {
            Some(model) => check_selectable(&planning, draft.workspace()?, &provider, model)?,
            None if planning.catalog.providers.contains_key(&provider) => {}
            // A selection outlives its provider's entry in the catalog and can still be cleared.
            None if draft.workspace()?.knows(&provider) => {}
            None => return Err(provider_unknown(&provider)),
        }
        draft.select(&provider, model);
        let answer = planning.workspace_view(draft.workspace()?);
        Ok(Outcome::of_provider(draft, provider, answer))
    })
    .await
}

fn provider_of(
    state: &AppState,
    model: Option<&ModelName>,
    provider: Option<ProviderName>,
) -> Result<ProviderName, Error> {
    let listed = model.and_then(|model| state.catalog.find(model.as_str()));
    match (provider, listed, model) {
        (Some(provider), _, _) => Ok(provider),
        (None, Some(listed), _) => Ok(listed.family().provider.clone()),
        (None, None, Some(model)) => Err(model_unknown(
            model.as_str(),
            "name its provider to select it all the same",
        )),
        (None, None, None) => Err(Error::field(
            "provider",
            "must be named to clear its selection",
        )),
    }
}

fn configured<'p>(state: &'p AppState, provider: &ProviderName) -> Result<&'p Provider, Error> {
    let configured = state.catalog.providers.get(provider);
    configured.ok_or_else(|| provider_unknown(provider))
}

fn check_selectable(
    state: &AppState,
    workspace: &Workspace,
    provider: &ProviderName,
    model: &ModelName,
) -> Result<(), Error> {
    let local = configured(state, provider)?.protocol == Protocol::Local;
    let key = workspace.keys.get(provider);
    if state.catalog.find(model.as_str()).is_none() && key.is_none() && !local {
        return Err(model_unknown(
            model.as_str(),
            "only the workspace's own key could use it: set one",
        ));
    }
    let now = state.clock.now();
    // While the platform pays, the list of the workspace's key does not count.
    let fresh = key
        .filter(|_| workspace.byo_enabled)
        .and_then(|key| key.fresh_models(now));
    usable(&state.catalog, provider, model, fresh, now.date()).map(|_| ())
}
