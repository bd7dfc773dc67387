//! ListModels: the models that a workspace can use, and why it cannot use the others.
//!
//! Invariants: an entry is available exactly if ResolveCredentials would grant it. Read from the database, never from a
//! cache. With `refresh` the providers are asked first; a provider that does not answer keeps its old list, which `as_of`
//! shows.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        admitted::Admitted,
        caller::Rpc,
        change::{Learnt, ModelsLearnt},
        error::Error,
        names::{ProviderName, WorkspaceId},
        resolution::{binding_allowed, offers, provider_unknown},
        workspace::{Holder, Workspace},
    },
    key_check::KeyCheck,
    view::ModelView,
};

/// The fields of ListModels.
#[derive(Debug)]
pub struct ListModels {
    /// `None`: all providers.
    pub provider: Option<ProviderName>,
    /// Include models that cannot be used.
    pub include_unavailable: bool,
    /// Ask the providers first.
    pub refresh: bool,
    /// At least 1.
    pub page_size: usize,
    /// How many models to skip.
    pub offset: usize,
}

/// A page of models.
#[derive(Debug)]
pub struct ModelPage {
    /// The models.
    pub models: Vec<ModelView>,
    /// The offset of the next page; `None`: the last page.
    pub next: Option<usize>,
    /// The time of the oldest list behind the answer; `None`: no list.
    pub as_of: Option<OffsetDateTime>,
}

/// A provider's answer about one key.
struct ListedKey {
    provider: ProviderName,
    key_id: Uuid,
    models: ModelsLearnt,
}

/// Lists models.
pub async fn list_models(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    request: ListModels,
) -> Result<ModelPage, Error> {
    let mut found = state.store.workspace(workspace).await?;
    if let Some(provider) = &request.provider
        && !state.catalog.providers.contains_key(provider)
        && !found.knows(provider)
    {
        return Err(provider_unknown(provider));
    }
    let requested = |name: &ProviderName| request.provider.as_ref().is_none_or(|only| only == name);
    if request.refresh {
        let names = found.keys.keys().filter(|name| requested(name));
        let names = names.cloned().collect();
        refresh(state, workspace, Arc::new(found), names).await?;
        found = state.store.workspace(workspace).await?;
    }
    let platform = state.store.platform().await?;
    let mut offers = offers(state.facts(&found, &platform), request.provider.as_ref());
    offers.retain(|offer| request.include_unavailable || offer.outcome.is_ok());
    let page = offers.iter().skip(request.offset).take(request.page_size);
    let end = request.offset.saturating_add(request.page_size);
    let keys = found.keys.iter().filter(|(name, _)| requested(name));
    Ok(ModelPage {
        models: page
            .map(|offer| ModelView::new(offer, &state.catalog))
            .collect(),
        next: (end < offers.len()).then_some(end),
        as_of: keys
            .filter_map(|(_, key)| Some(key.models.as_ref()?.as_of))
            .min(),
    })
}

/// Asks the providers for the keys' lists, all at once, and records their answers. If one provider's limit is reached, none
/// is asked.
async fn refresh(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    found: Arc<Workspace>,
    providers: Vec<ProviderName>,
) -> Result<(), Error> {
    let (limiter, scope) = (state.key_checker.limiter(), workspace.scope());
    for provider in &providers {
        limiter.admit(&scope, workspace.caller(), provider)?;
    }
    let mut probes = JoinSet::new();
    for provider in providers {
        let (state, workspace, found) = (Arc::clone(state), workspace.clone(), Arc::clone(&found));
        probes.spawn(async move { list(&state, &workspace, &found, provider).await });
    }
    let mut failure = None;
    while let Some(listed) = probes.join_next().await {
        match listed.map_err(Error::internal).and_then(|listed| listed) {
            Ok(Some(listed)) => record(state, workspace, listed).await?,
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn list(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    found: &Workspace,
    provider: ProviderName,
) -> Result<Option<ListedKey>, Error> {
    let configured = state.catalog.providers.get(&provider);
    let (Some(configured), Some(stored)) = (configured, found.keys.get(&provider)) else {
        return Ok(None);
    };
    if !binding_allowed(stored, configured) {
        return Ok(None);
    }
    let (scope, keyring) = (workspace.scope(), &state.keyring);
    let check = KeyCheck {
        provider: configured,
        key: &keyring.open_key(&scope, &provider, stored).await?,
        binding: &stored.binding,
        probe_model: None,
    };
    let key_id = stored.key_id;
    Ok(match state.key_checker.list(check).await? {
        ModelsLearnt::Nothing => None,
        models => Some(ListedKey {
            provider,
            key_id,
            models,
        }),
    })
}

async fn record(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    listed: ListedKey,
) -> Result<(), Error> {
    let ListedKey {
        provider,
        key_id,
        models,
    } = listed;
    let (scope, meta) = (workspace.scope(), ChangeMeta::default());
    let request = ChangeRequest::new(Rpc::ListModels, scope, workspace.caller(), meta, &[]);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        let (condemnation, now) = (&planning.policy.condemnation, planning.clock.now());
        let learnt = Learnt {
            verdict: None,
            models,
        };
        // A key that was replaced meanwhile keeps its own list.
        draft.record_check(&provider, key_id, learnt, condemnation, now);
        let models = |holder: &Holder| {
            let key = holder.keys().get(&provider);
            let listing = key.and_then(|key| key.models.as_ref());
            json!({ "models": listing.map(|listing| listing.models.iter().count()) })
        };
        Ok(Outcome {
            answer: (),
            before: models(draft.before()),
            after: models(draft.after()),
            provider: Some(provider.clone()),
            verdict: None,
        })
    })
    .await
}
