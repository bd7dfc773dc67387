//! SetPlatformKey: the operator's key for one provider, tested before it replaces.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    KeyView, NewKey, Parts,
    commit::{Intent, Planned, commit_sealed, replayed},
    view::remembered,
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
    let intent = Intent::new(Rpc::SetPlatformKey, Scope::Platform, caller, key.meta.clone(), &key.fields());
    let proposed = key.propose(parts)?;
    let provider = proposed.provider.name.clone();
    let revision = parts.store.platform().await?.revision;
    if let Some(answer) = replayed(parts, &intent).await? {
        return Ok(answer);
    }
    parts.limiter.admit(&intent.scope, caller, &provider)?;
    intent.expects(revision)?;
    let validate_only = proposed.new.validate_only;
    let tested = proposed.test(parts, caller).await?;
    if validate_only {
        return Ok(PlatformKeySet { key: tested.view(parts), revision });
    }
    let planning = Arc::clone(parts);
    commit_sealed(parts, intent, move |draft, sealing| {
        let verdict = tested.verdict;
        let stored = tested.store(draft, sealing)?;
        Ok(Planned {
            answer: PlatformKeySet {
                key: KeyView::new(&provider, &stored, &planning.policy.condemnation),
                revision: draft.after().revision(),
            },
            before: remembered(draft.before(), &provider),
            after: remembered(draft.after(), &provider),
            provider: Some(provider),
            verdict: Some(verdict),
        })
    })
    .await
}
