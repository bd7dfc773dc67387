//! SetPlatformKey: the operator's key for one provider, tested before it replaces.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    KeyView, NewKey, Parts,
    commit::{Intent, Planned, commit, replayed},
    new_key::{Sealing, TestedKey},
    view::remembered_key,
};
use crate::domain::{
    error::Error,
    names::Scope,
    principal::{Principal, Rpc},
};

/// What follows.
#[derive(Debug, Deserialize, Serialize)]
pub struct PlatformKeySet {
    /// The key, masked.
    pub key: KeyView,
    /// The platform's revision.
    pub revision: u64,
}

/// Sets a platform key.
pub async fn set_platform_key(
    parts: &Arc<Parts>,
    caller: &Principal,
    key: NewKey,
) -> Result<PlatformKeySet, Error> {
    let provider = parts.provider_with_keys(&key.provider)?.name.clone();
    let intent = Intent::new(Rpc::SetPlatformKey, Scope::Platform, caller, key.meta.clone(), &key.fields());
    if let Some(answer) = replayed(parts, &intent).await? {
        return Ok(answer);
    }
    let revision = parts.store.platform().await?.revision;
    intent.expects(revision)?;
    let validate_only = key.validate_only;
    let tested = TestedKey::test(parts, caller, &Scope::Platform, key).await?;
    if validate_only {
        return Ok(PlatformKeySet { key: tested.view(parts), revision });
    }
    let sealing = Sealing::prepare(parts, &Scope::Platform).await?;
    let planning = Arc::clone(parts);
    commit(parts, intent, move |draft| {
        let before = remembered_key(draft.before().keys().get(&provider));
        let verdict = tested.verdict;
        let stored = tested.store(draft, &sealing)?;
        Ok(Planned {
            answer: PlatformKeySet {
                key: KeyView::new(&provider, &stored, &planning.policy.condemnation),
                revision: draft.after().revision(),
            },
            before,
            after: remembered_key(Some(&stored)),
            provider: Some(provider),
            verdict: Some(verdict),
        })
    })
    .await
}
