//! ListModels: what a workspace can use, and why not the rest.
//!
//! Invariants: an entry is available exactly if ResolveCredentials would grant it; read from the database, never from
//! a cache. With `refresh` the providers are asked first; one that does not answer leaves its old list standing, which
//! `as_of` shows.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    AppState, ChangeMeta, ModelView,
    check_key::{KeyTest, listing},
    commit::{Intent, Planned, commit},
};
use crate::{
    domain::{
        admitted::Admitted,
        caller::{Caller, Rpc},
        change::{Learnt, ModelsLearnt},
        error::Error,
        names::{ProviderName, Scope, WorkspaceId},
        resolution::{binding_allowed, offers, provider_unknown},
        workspace::{Holder, Workspace},
    },
    provider::ListOutcome,
};

/// What is asked for.
#[derive(Debug)]
pub struct ListModels {
    /// One provider's only.
    pub provider: Option<ProviderName>,
    /// Also those that cannot be used.
    pub include_unavailable: bool,
    /// Ask the providers first.
    pub refresh: bool,
    /// At most this many; at least 1.
    pub page_size: usize,
    /// How many to pass over.
    pub offset: usize,
}

/// A page of models.
#[derive(Debug)]
pub struct ModelPage {
    /// The models.
    pub models: Vec<ModelView>,
    /// Where the next page starts.
    pub next: Option<usize>,
    /// When the oldest list behind the answer was read.
    pub as_of: Option<OffsetDateTime>,
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
    let shown = |name: &ProviderName| request.provider.as_ref().is_none_or(|only| only == name);
    if request.refresh {
        let names = found
            .keys
            .keys()
            .filter(|name| shown(name))
            .cloned()
            .collect();
        refresh(state, workspace.caller(), Arc::new(found), names).await?;
        found = state.store.workspace(workspace).await?;
    }
    let platform = state.store.platform().await?;
    let offers = offers(state.facts(&found, &platform), request.provider.as_ref());
    let wanted: Vec<_> = offers
        .iter()
        .filter(|offer| request.include_unavailable || offer.outcome.is_ok())
        .collect();
    let page = wanted.iter().skip(request.offset).take(request.page_size);
    let end = request.offset.saturating_add(request.page_size);
    let lists = found
        .keys
        .iter()
        .filter(|(name, _)| shown(name))
        .filter_map(|(_, key)| key.models.as_ref());
    Ok(ModelPage {
        models: page
            .map(|offer| ModelView::new(offer, &state.catalog))
            .collect(),
        next: (end < wanted.len()).then_some(end),
        as_of: lists.map(|listing| listing.as_of).min(),
    })
}

/// Asks the providers for the keys' lists, all at once, and remembers what they answered. One that does not answer
/// changes nothing; a refresh that is limited at one provider asks none.
async fn refresh(
    state: &Arc<AppState>,
    caller: &Caller,
    workspace: Arc<Workspace>,
    providers: Vec<ProviderName>,
) -> Result<(), Error> {
    let scope = Scope::Workspace(workspace.id.clone());
    for provider in &providers {
        state.limiter.admit(&scope, caller, provider)?;
    }
    let mut asked = JoinSet::new();
    for provider in providers {
        let (state, workspace) = (Arc::clone(state), Arc::clone(&workspace));
        asked.spawn(async move { ask(&state, &workspace, provider).await });
    }
    let mut failure = None;
    while let Some(answer) = asked.join_next().await {
        match answer.map_err(Error::internal).and_then(|answer| answer) {
            Ok(Some(learnt)) => remember(state, caller, scope.clone(), learnt).await?,
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(()), Err)
}

/// What a provider answered about one key.
struct Asked {
    provider: ProviderName,
    key_id: Uuid,
    models: ModelsLearnt,
}

async fn ask(
    state: &AppState,
    workspace: &Workspace,
    provider: ProviderName,
) -> Result<Option<Asked>, Error> {
    let configured = state.catalog.providers.get(&provider);
    let (Some(configured), Some(stored)) = (configured, workspace.keys.get(&provider)) else {
        return Ok(None);
    };
    if !binding_allowed(stored, configured) {
        return Ok(None);
    }
    let scope = Scope::Workspace(workspace.id.clone());
    let key = state.keyring.open_key(&scope, &provider, stored).await?;
    let test = KeyTest {
        provider: configured,
        key: &key,
        binding: &stored.binding,
        probe_model: None,
    };
    let models = match test.list(state).await? {
        ListOutcome::Models(models) => ModelsLearnt::Listed(listing(models, state.clock.now())),
        ListOutcome::Hidden => ModelsLearnt::Hidden,
        ListOutcome::Failed(_) => return Ok(None),
    };
    Ok(Some(Asked {
        key_id: stored.key_id,
        provider,
        models,
    }))
}

async fn remember(
    state: &Arc<AppState>,
    caller: &Caller,
    scope: Scope,
    asked: Asked,
) -> Result<(), Error> {
    let Asked {
        provider,
        key_id,
        models,
    } = asked;
    let intent = Intent::new(Rpc::ListModels, scope, caller, ChangeMeta::default(), &[]);
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        let learnt = Learnt {
            verdict: None,
            models,
        };
        // A key that was replaced meanwhile keeps the list of its own test.
        draft.record_check(
            &provider,
            key_id,
            learnt,
            &planning.policy.condemnation,
            planning.clock.now(),
        );
        let models = |holder: &Holder| {
            let key = holder.keys().get(&provider);
            key.and_then(|key| key.models.as_ref())
                .map(|listing| listing.models.iter().count())
        };
        Ok(Planned {
            answer: (),
            before: json!({ "models": models(draft.before()) }),
            after: json!({ "models": models(draft.after()) }),
            provider: Some(provider.clone()),
            verdict: None,
        })
    })
    .await
}
