//! VerifyKey: test the stored key again, and remember what that taught.
//!
//! Invariants: the endpoint never changes; a key that was superseded while it was being tested is not touched; one
//! refusal does not condemn.

use std::sync::Arc;

use serde_json::json;

use super::{
    ChangeMeta, KeyChecked, KeyView, Parts,
    check_key::{KeyTest, listing},
    commit::{Intent, Planned, commit},
};
use crate::domain::{
    error::{Error, Reason},
    names::{ModelName, ProviderName, Scope},
    principal::{Principal, Rpc},
    resolution::{binding_allowed, usable},
};

/// Tests the stored key of a workspace, or of the platform.
pub async fn verify_key(
    parts: &Arc<Parts>,
    caller: &Principal,
    rpc: Rpc,
    scope: Scope,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<KeyChecked, Error> {
    let configured = parts.provider_with_keys(&provider)?;
    let holder = parts.store.holder(&scope).await?;
    let stored = holder.keys().get(&provider).ok_or_else(|| no_key(&provider))?;
    if !binding_allowed(stored, configured) {
        return Err(Error::new(
            Reason::EndpointNoLongerAllowed,
            format!("the key for {provider} is bound to a host or header that the catalog no longer allows"),
        ));
    }
    let today = parts.clock.now().date();
    let probe_model = match &model {
        Some(model) => {
            Some(usable(&parts.catalog, &provider, model, stored.fresh_models(parts.clock.now()), today)?)
        }
        None => None,
    };
    let key = parts.keyring.open_key(&scope, &provider, stored).await?;
    let test = KeyTest {
        scope: &scope,
        caller,
        provider: configured,
        key: &key,
        binding: &stored.binding,
        probe_model: probe_model.as_deref(),
    };
    let checked = test.run(parts).await?;
    let (key_id, now) = (stored.key_id, parts.clock.now());
    let intent = Intent::new(rpc, scope, caller, ChangeMeta::default(), &[]);
    let planning = Arc::clone(parts);
    commit(parts, intent, move |draft| {
        let condemnation = &planning.policy.condemnation;
        let learnt = (Some(checked.verdict), checked.models.map(|models| listing(models, now)));
        let before = draft.before().keys().get(&provider).map(|key| key.health.badge(condemnation).as_str());
        if !draft.record_check(&provider, key_id, learnt, condemnation, now) {
            return Err(no_key(&provider));
        }
        let after = draft.after().keys().get(&provider).ok_or_else(|| no_key(&provider))?;
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
