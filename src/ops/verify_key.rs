//! VerifyKey: check the stored key again and record the verdict.
//!
//! Invariants: the endpoint never changes. A key that was superseded during the check is not touched. One refusal does not
//! condemn a key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        admitted::Admitted,
        caller::{Caller, Rpc},
        change::Learnt,
        error::{Error, Reason},
        names::{ModelName, ProviderName, Scope, WorkspaceId},
        resolution::{agreed, binding_allowed, endpoint_no_longer_allowed, key_damaged},
        verdict::Verdict,
        workspace::Holder,
    },
    key_check::{KeyCheck, models_learnt},
    view::KeyView,
};

/// The outcome of VerifyKey and VerifyPlatformKey.
#[derive(Debug, Deserialize, Serialize)]
pub struct VerifyKeyOutcome {
    /// The key after the check.
    pub key: KeyView,
    /// The verdict of this check.
    pub verdict: Verdict,
}

/// Checks the stored key of a workspace.
pub async fn verify_key(
    state: &Arc<AppState>,
    workspace: &Admitted<WorkspaceId>,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<VerifyKeyOutcome, Error> {
    let (caller, scope) = (workspace.caller(), workspace.scope());
    verify(state, caller, Rpc::VerifyKey, scope, provider, model).await
}

/// Checks the stored key of a holder.
pub(super) async fn verify(
    state: &Arc<AppState>,
    caller: &Caller,
    rpc: Rpc,
    scope: Scope,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<VerifyKeyOutcome, Error> {
    let checker = &state.key_checker;
    let configured = checker.provider(&provider)?;
    let today = state.clock.now().date();
    let probe_model = match &model {
        Some(model) => Some(agreed(&state.catalog, &provider, model)?.to_test(today)?),
        None => None,
    };
    checker.limiter().admit(&scope, caller, &provider)?;
    let holder = state.store.holder(&scope).await?;
    if holder.damaged().contains(&provider) {
        return Err(key_damaged("the key", &provider));
    }
    let stored = holder.keys().get(&provider);
    let stored = stored.ok_or_else(|| key_not_found(&provider))?;
    if !binding_allowed(stored, configured) {
        return Err(endpoint_no_longer_allowed(&provider));
    }
    let key = state.keyring.open_key(&scope, &provider, stored).await?;
    let check = KeyCheck {
        provider: configured,
        key: &key,
        binding: &stored.binding,
        probe_model: probe_model.as_deref(),
    };
    let checked = checker.run(check).await?;
    let (key_id, verdict, now) = (stored.key_id, checked.verdict, state.clock.now());
    let learnt = Learnt {
        // A named model that is unavailable says nothing about the key.
        verdict: (model.is_none() || verdict != Verdict::ModelUnavailable).then_some(verdict),
        models: models_learnt(&checked, now),
    };
    let request = ChangeRequest::new(rpc, scope, caller, ChangeMeta::default(), &[]);
    let planning = Arc::clone(state);
    commit(&state.changes, request, move |draft| {
        let condemnation = &planning.policy.condemnation;
        let badge = |holder: &Holder| {
            let key = holder.keys().get(&provider);
            json!({ "badge": key.map(|key| key.health.badge(condemnation).as_str()) })
        };
        let before = badge(draft.before());
        let recorded = draft.record_check(&provider, key_id, learnt, condemnation, now);
        let after = draft.after().keys().get(&provider).filter(|_| recorded);
        let after = after.ok_or_else(|| key_not_found(&provider))?;
        let key = planning.key_view(&provider, after);
        Ok(Outcome {
            answer: VerifyKeyOutcome { key, verdict },
            before,
            after: badge(draft.after()),
            provider: Some(provider.clone()),
            verdict: Some(verdict),
        })
    })
    .await
}

fn key_not_found(provider: &ProviderName) -> Error {
    Error::new(
        Reason::KeyNotFound,
        format!("there is no key for {provider}, or it was replaced meanwhile; set one"),
    )
    .with("provider", provider.as_str())
}
