//! SetPlatformKey: check the operator's key for one provider and, unless the check refuses it, store it in place of the old
//! one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    app_state::AppState,
    change::{Attempt, ChangeRequest, Outcome, RequestLookup},
    domain::{
        caller::{Caller, Rpc},
        error::Error,
        names::Scope,
    },
    key_check::NewKey,
    view::KeyView,
};

/// The outcome of SetPlatformKey.
#[derive(Debug, Deserialize, Serialize)]
pub struct SetPlatformKeyOutcome {
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
) -> Result<SetPlatformKeyOutcome, Error> {
    let (rpc, scope, meta) = (Rpc::SetPlatformKey, Scope::Platform, key.meta.clone());
    let change = ChangeRequest::new(rpc, scope, caller, meta, &key.fields());
    let validate_only = key.validate_only;
    let proposal = key.propose(&state.key_checker)?;
    let provider = proposal.provider.name.clone();
    let revision = state.store.platform().await?.revision;
    let attempt = match Attempt::begin(&state.changes, change).await? {
        RequestLookup::Replayed(answer) => return Ok(answer),
        RequestLookup::Fresh(attempt) => attempt,
    };
    let limiter = state.key_checker.limiter();
    limiter.admit(&Scope::Platform, caller, &provider)?;
    attempt.check_revision(revision)?;
    let checked = proposal.check(&state.key_checker, caller).await?;
    if validate_only {
        let key = checked.view(&state.policy.condemnation);
        return Ok(SetPlatformKeyOutcome { key, revision });
    }
    let planning = Arc::clone(state);
    let plan = attempt.commit_sealed(move |draft, sealing| {
        let verdict = checked.verdict;
        let stored = checked.store(draft, sealing)?;
        let answer = SetPlatformKeyOutcome {
            key: planning.key_view(&provider, &stored),
            revision: draft.after().revision(),
        };
        Ok(Outcome::of_provider(draft, provider, answer).with_verdict(verdict))
    });
    plan.await
}
