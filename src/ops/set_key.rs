//! SetKey: test a key with its provider and, if that does not refuse it, store it in place of the old one.
//!
//! Invariants: validated before it replaces; a refused key changes nothing and the old one keeps serving. A selection
//! survives if the new key can use it, else it is cleared and the answer says so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    KeyView, ModelView, NewKey, Parts, WorkspaceView,
    commit::{Intent, Planned, commit, replayed},
    new_key::{Sealing, TestedKey},
    view::remembered_key,
};
use crate::domain::{
    change::Draft,
    error::Error,
    models::ModelList,
    names::{ModelName, ProviderName, Scope, WorkspaceId},
    principal::{Principal, Rpc},
    resolution::{offers, usable},
};

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
    /// What the workspace can use with this provider.
    pub models: Vec<ModelView>,
    /// The workspace.
    pub workspace: WorkspaceView,
    /// The selection that the new key cannot use.
    pub cleared_selection: Option<String>,
}

/// Sets a workspace's key.
pub async fn set_key(
    parts: &Arc<Parts>,
    caller: &Principal,
    workspace: WorkspaceId,
    request: SetKey,
) -> Result<KeySet, Error> {
    let SetKey { key, model, enable_byo } = request;
    let provider = parts.provider_with_keys(&key.provider)?.name.clone();
    key.binding(parts.provider_with_keys(&provider)?)?;
    let today = parts.clock.now().date();
    if let Some(model) = &model {
        usable(&parts.catalog, &provider, model, None, today)?;
    }
    let intent = {
        let mut fields = key.fields();
        fields.extend([model.as_ref().map_or("", ModelName::as_str), if enable_byo { "byo" } else { "" }]);
        let scope = Scope::Workspace(workspace.clone());
        Intent::new(Rpc::SetKey, scope, caller, key.meta.clone(), &fields)
    };
    if let Some(answer) = replayed(parts, &intent).await? {
        return Ok(answer);
    }
    let before = parts.store.workspace(&workspace).await?;
    intent.expects(before.revision)?;
    let validate_only = key.validate_only;
    let tested = TestedKey::test(parts, caller, &intent.scope, key).await?;
    if let Some(model) = &model {
        usable(&parts.catalog, &provider, model, tested.models.as_ref().map(|list| &*list.models), today)?;
    }
    if validate_only {
        return Ok(KeySet {
            key: tested.view(parts),
            models: Vec::new(),
            workspace: WorkspaceView::new(&before, &parts.catalog, &parts.policy.condemnation),
            cleared_selection: None,
        });
    }
    let sealing = Sealing::prepare(parts, &intent.scope).await?;
    let platform = parts.directory.platform().await?;
    let planning = Arc::clone(parts);
    commit(parts, intent, move |draft| {
        let condemnation = &planning.policy.condemnation;
        let old = remembered_key(draft.before().keys().get(&provider));
        let verdict = tested.verdict;
        let stored = tested.store(draft, &sealing)?;
        if enable_byo {
            draft.set_byo(true);
        }
        let list = stored.models.as_ref().map(|listing| &*listing.models);
        let cleared_selection = match model {
            Some(model) => {
                draft.select(&provider, Some(model));
                None
            }
            None => clear_unusable(draft, &planning, &provider, list)?,
        };
        let workspace = draft.workspace()?;
        let facts = planning.facts(workspace, &platform.entry);
        Ok(Planned {
            answer: KeySet {
                key: KeyView::new(&provider, &stored, condemnation),
                models: offers(facts, Some(&provider))
                    .iter()
                    .filter(|offer| offer.outcome.is_ok())
                    .map(|offer| ModelView::new(offer, &planning.catalog))
                    .collect(),
                workspace: WorkspaceView::new(workspace, &planning.catalog, condemnation),
                cleared_selection,
            },
            before: old,
            after: json!({ "key": remembered_key(Some(&stored)), "byo_enabled": workspace.byo_enabled }),
            provider: Some(provider),
            verdict: Some(verdict),
        })
    })
    .await
}

/// Clears the provider's selection if the new key's own list does not show it.
fn clear_unusable(
    draft: &mut Draft,
    parts: &Parts,
    provider: &ProviderName,
    list: Option<&ModelList>,
) -> Result<Option<String>, Error> {
    let Some(selected) = draft.workspace()?.selections.get(provider).map(|selection| selection.model.clone())
    else {
        return Ok(None);
    };
    if usable(&parts.catalog, provider, &selected, list, parts.clock.now().date()).is_ok() {
        return Ok(None);
    }
    draft.select(provider, None);
    Ok(Some(selected.to_string()))
}
