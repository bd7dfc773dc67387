//! VerifyKey: test the stored key again, and remember what that taught.
//!
//! Invariants: the endpoint never changes; a key that was superseded while it was being tested is not touched; one
//! refusal does not condemn.

use std::sync::Arc;

use serde_json::json;

use super::{
    AppState, ChangeMeta, KeyChecked, KeyView,
    check_key::{KeyTest, models_learnt},
    commit::{Intent, Planned, commit},
};
use crate::domain::{
    admitted::Admitted,
    caller::{Caller, Rpc},
    change::Learnt,
    error::{Error, Reason},
    names::{ModelName, ProviderName, Scope, WorkspaceId},
    resolution::{agreed, binding_allowed, endpoint_no_longer_allowed, key_damaged},
    verdict::Verdict,
};

/// Checks the stored key of a workspace.
pub async fn verify_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<KeyChecked, Error> {
    let (caller, scope) = (workspace.caller(), workspace.scope());
    verify(state, caller, Rpc::VerifyKey, scope, provider, model).await
}

/// Checks the stored key of a workspace or of the platform.
pub(super) async fn verify(
    state: &Arc<AppState>,
    caller: &Caller,
    rpc: Rpc,
    scope: Scope,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<KeyChecked, Error> {
    let configured = state.provider_with_keys(&provider)?;
    let today = state.clock.now().date();
    let probe_model = match &model {
        Some(model) => Some(agreed(&state.catalog, &provider, model)?.to_test(today)?),
        None => None,
    };
    state.limiter.admit(&scope, caller, &provider)?;
    let holder = state.store.holder(&scope).await?;
    if holder.damaged().contains(&provider) {
        return Err(key_damaged("the key", &provider));
    }
    let stored = holder
        .keys()
        .get(&provider)
        .ok_or_else(|| no_key(&provider))?;
    if !binding_allowed(stored, configured) {
        return Err(endpoint_no_longer_allowed(&provider));
    }
    let key = state.keyring.open_key(&scope, &provider, stored).await?;
    let probe_model = probe_model.as_deref();
    let checked = KeyTest {
        provider: configured,
        key: &key,
        binding: &stored.binding,
        probe_model,
    }
    .run(state)
    .await?;
    let (key_id, now) = (stored.key_id, state.clock.now());
    let learnt = Learnt {
        // That the one model named is not there says nothing about the key.
        verdict: (probe_model.is_none() || checked.verdict != Verdict::ModelUnavailable)
            .then_some(checked.verdict),
        models: models_learnt(&checked, now),
    };
    let intent = Intent::new(rpc, scope, caller, ChangeMeta::default(), &[]);
    let planning = Arc::clone(state);
    commit(state, intent, move |draft| {
        let condemnation = &planning.policy.condemnation;
        let before = draft
            .before()
            .keys()
            .get(&provider)
            .map(|key| key.health.badge(condemnation).as_str());
        if !draft.record_check(&provider, key_id, learnt, condemnation, now) {
            return Err(no_key(&provider));
        }
        let after = draft
            .after()
            .keys()
            .get(&provider)
            .ok_or_else(|| no_key(&provider))?;
        Ok(Planned {
            answer: KeyChecked {
                key: KeyView::new(&provider, after, condemnation),
                verdict: checked.verdict,
            },
            before: json!({ "badge": before }),
            after: json!({ "badge": after.health.badge(condemnation).as_str() }),
            provider: Some(provider.clone()),
            verdict: Some(checked.verdict),
        })
    })
    .await
}

fn no_key(provider: &ProviderName) -> Error {
    Error::new(
        Reason::KeyNotFound,
        format!("there is no key for {provider}, or it was replaced meanwhile; set one"),
    )
    .with("provider", provider.as_str())
}
