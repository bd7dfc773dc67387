//! The outcome of a plan: the answer, and the facts of its audit entry.
//!
//! Invariants: fields are named one by one, so no secret enters an audit entry; a key appears masked.
//!
//! Not here: the caller, the RPC and the revision, which the road adds (`attempt`).

use serde_json::{Map, Value, json};

use crate::domain::{
    change::Draft,
    names::ProviderName,
    verdict::Verdict,
    workspace::{Holder, StoredKey},
};

/// The outcome of a plan.
pub struct Outcome<T> {
    /// The RPC's answer; a retry gets it again.
    pub answer: T,
    /// The provider concerned, if it is one.
    pub provider: Option<ProviderName>,
    /// The state before the change, for the audit entry.
    pub before: Value,
    /// The state after the change, for the audit entry.
    pub after: Value,
    /// The verdict behind the change, if a key was checked.
    pub verdict: Option<Verdict>,
}

impl<T> Outcome<T> {
    /// The outcome of a change to the holder's entry for one provider.
    pub fn of_provider(draft: &Draft, provider: ProviderName, answer: T) -> Self {
        Self {
            answer,
            before: provider_state(draft.before(), &provider),
            after: provider_state(draft.after(), &provider),
            provider: Some(provider),
            verdict: None,
        }
    }

    /// The outcome of a change to all that the holder has.
    pub fn of_holder(draft: &Draft, answer: T) -> Self {
        Self {
            answer,
            provider: None,
            before: holder_state(draft.before()),
            after: holder_state(draft.after()),
            verdict: None,
        }
    }

    /// Adds the verdict behind the change.
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = Some(verdict);
        self
    }
}

fn key_state(key: &StoredKey) -> Value {
    json!({
        "key_id": key.key_id,
        "generation": key.generation,
        "masked": key.masked,
        "base_url": key.binding.base_url,
    })
}

fn provider_state(holder: &Holder, provider: &ProviderName) -> Value {
    let key = holder.keys().get(provider).map(key_state);
    match holder {
        Holder::Platform(_) => json!({ "key": key }),
        Holder::Workspace(workspace) => json!({
            "key": key,
            "byo_enabled": workspace.byo_enabled,
            "selected_model": workspace.selections.get(provider).map(|selection| selection.model.as_str()),
        }),
    }
}

fn holder_state(holder: &Holder) -> Value {
    let keys = holder
        .keys()
        .iter()
        .map(|(name, key)| (name.to_string(), key_state(key)));
    let keys = Map::from_iter(keys);
    match holder {
        Holder::Platform(_) => json!({ "keys": keys }),
        Holder::Workspace(workspace) => {
            let selections = workspace
                .selections
                .iter()
                .map(|(name, selection)| (name.to_string(), selection.model.as_str().into()));
            json!({
                "keys": keys,
                "byo_enabled": workspace.byo_enabled,
                "selected_models": Map::from_iter(selections),
            })
        }
    }
}
