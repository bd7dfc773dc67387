//! ListModels: what a workspace can use, and why not the rest.
//!
//! Invariants: an entry is available exactly if ResolveCredentials would grant it; read from the database, never from
//! a cache. With `refresh` the providers are asked first; one that does not answer leaves its old list standing, which
//! `as_of` shows.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    ChangeMeta, ModelView, Parts,
    check_key::{KeyTest, listing, verdict_of},
    commit::{Intent, Planned, commit},
};
use crate::domain::{
    error::{Error, Reason},
    names::{ProviderName, Scope, WorkspaceId},
    principal::{Principal, Rpc},
    resolution::{binding_allowed, offers},
    workspace::Workspace,
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
    parts: &Arc<Parts>,
    caller: &Principal,
    workspace: WorkspaceId,
    request: ListModels,
) -> Result<ModelPage, Error> {
    let mut found = parts.store.workspace(&workspace).await?;
    if let Some(provider) = &request.provider
        && !parts.catalog.providers.contains_key(provider)
        && !found.knows(provider)
    {
        return Err(Error::new(Reason::ProviderUnknown, format!("no provider {provider} is configured"))
            .in_field("provider"));
    }
    let shown = |name: &ProviderName| request.provider.as_ref().is_none_or(|only| only == name);
    if request.refresh {
        for name in found.keys.keys().filter(|name| shown(name)) {
            refresh(parts, caller, &found, name).await?;
        }
        found = parts.store.workspace(&workspace).await?;
    }
    let platform = parts.store.platform().await?;
    let offers = offers(parts.facts(&found, &platform), request.provider.as_ref());
    let wanted: Vec<_> =
        offers.iter().filter(|offer| request.include_unavailable || offer.outcome.is_ok()).collect();
    let page = wanted.iter().skip(request.offset).take(request.page_size);
    let end = request.offset.saturating_add(request.page_size);
    let lists = found.keys.iter().filter(|(name, _)| shown(name)).filter_map(|(_, key)| key.models.as_ref());
    Ok(ModelPage {
        models: page.map(|offer| ModelView::new(offer, &parts.catalog)).collect(),
        next: (end < wanted.len()).then_some(end),
        as_of: lists.map(|listing| listing.as_of).min(),
    })
}

/// Asks one provider for the key's list and remembers it; a provider that does not answer changes nothing.
async fn refresh(
    parts: &Arc<Parts>,
    caller: &Principal,
    workspace: &Workspace,
    provider: &ProviderName,
) -> Result<(), Error> {
    let (Some(configured), Some(stored)) =
        (parts.catalog.providers.get(provider), workspace.keys.get(provider))
    else {
        return Ok(());
    };
    if !binding_allowed(stored, configured) {
        return Ok(());
    }
    let scope = Scope::Workspace(workspace.id.clone());
    let key = parts.keyring.open_key(&scope, provider, stored).await?;
    let test = KeyTest {
        scope: &scope,
        caller,
        provider: configured,
        key: &key,
        binding: &stored.binding,
        probe_model: None,
    };
    let Ok(Some(models)) = verdict_of(test.list(parts).await?) else {
        return Ok(());
    };
    let (provider, key_id, now) = (provider.clone(), stored.key_id, parts.clock.now());
    let intent = Intent::new(Rpc::ListModels, scope, caller, ChangeMeta::default(), &[]);
    let planning = Arc::clone(parts);
    commit(parts, intent, move |draft| {
        let learnt = (None, Some(listing(models, now)));
        draft.record_check(&provider, key_id, learnt, &planning.policy.condemnation, now);
        Ok(Planned {
            answer: (),
            provider: Some(provider),
            before: serde_json::Value::Null,
            after: serde_json::json!({ "models": "refreshed" }),
            verdict: None,
        })
    })
    .await
}
