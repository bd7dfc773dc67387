//! SetPlatformKey: the operator's key for one provider, tested before it replaces.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AppState, KeyView, NewKey,
    commit::{Intent, Planned, commit_sealed, replayed},
    view::remembered,
};
use crate::domain::{
    caller::{Caller, Rpc},
    error::Error,
    names::Scope,
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
    state: &Arc<AppState>,
    caller: &Caller,
    key: NewKey,
) -> Result<PlatformKeySet, Error> {
    let intent = Intent::new(
        Rpc::SetPlatformKey,
        Scope::Platform,
        caller,
        key.meta.clone(),
        &key.fields(),
    );
    let proposed = key.propose(state)?;
    let provider = proposed.provider.name.clone();
    let revision = state.store.platform().await?.revision;
    if let Some(answer) = replayed(state, &intent).await? {
        return Ok(answer);
    }
    state.limiter.admit(&intent.scope, caller, &provider)?;
    intent.expects(revision)?;
    let validate_only = proposed.new.validate_only;
    let tested = proposed.test(state, caller).await?;
    if validate_only {
        return Ok(PlatformKeySet {
            key: tested.view(state),
            revision,
        });
    }
    let planning = Arc::clone(state);
    commit_sealed(state, intent, move |draft, sealing| {
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
