//! Explains the decision to people: why each other model and key was not taken.
//!
//! Invariant: it judges ids by the very function that the decision uses, and decides nothing.
//!
//! Not here: the decision's own outcome, which the caller has.

use super::{
    decide::{byo_pays, decide},
    decision::Grant,
    facts::{Ask, Facts},
    model::{self, ModelRequest},
};
use crate::domain::{catalog::Payer, protocol::Protocol};

/// Something the decision looked at and did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `model` or `key`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// Why it was not taken, for people.
    pub reason: String,
}

/// The models and keys that `decide` would not take for this ask, in its order.
pub fn candidates(facts: Facts<'_>, ask: &Ask) -> Vec<Candidate> {
    let Some(payer) = facts.catalog.payer(&ask.purpose) else {
        return Vec::new();
    };
    let byo = byo_pays(facts.catalog, facts.workspace, &ask.purpose);
    let Ok(wanted) = model::which(facts, ask, byo) else {
        return Vec::new();
    };
    let outcome = decide(facts, ask);
    let mut found = keys_not_taken(
        facts,
        &wanted,
        payer,
        outcome.as_ref().ok().map(|decision| &decision.grant),
    );
    let paying = match byo {
        true => facts.workspace.keys.get(wanted.provider()),
        false => facts.platform.keys.get(wanted.provider()),
    };
    let fresh = paying.and_then(|key| key.fresh_models(facts.now));
    let taken = outcome
        .as_ref()
        .ok()
        .map(|decision| decision.model.as_str());
    for id in wanted.family().into_iter().flat_map(|family| &family.ids) {
        if taken
            .is_some_and(|taken| id.id == taken || id.aliases.iter().any(|alias| alias == taken))
        {
            continue;
        }
        let reason = match (model::unfit(id, fresh, byo, facts.now.date()), &wanted) {
            (Some(model::Unfit::Retired), _) => "its provider has retired it",
            (Some(model::Unfit::NotListed), _) => "the key's own list does not show it",
            (None, ModelRequest::Pinned(..)) => "another id was asked for",
            (None, _) if taken.is_some() => "an id before it in the catalog was taken",
            (None, _) => "it could be used, but no key may pay for it",
        };
        found.push(Candidate {
            kind: "model",
            name: id.id.clone(),
            reason: reason.to_owned(),
        });
    }
    found
}

fn keys_not_taken(
    facts: Facts<'_>,
    wanted: &ModelRequest<'_>,
    payer: Payer,
    grant: Option<&Grant<'_>>,
) -> Vec<Candidate> {
    let provider = wanted.provider();
    let local = facts
        .catalog
        .providers
        .get(provider)
        .is_some_and(|found| found.protocol == Protocol::Local);
    let mut found = Vec::new();
    if facts.workspace.keys.contains_key(provider) && !matches!(grant, Some(Grant::Byo(..))) {
        let reason = match payer {
            _ if local => "the provider is local and needs no key",
            Payer::Free | Payer::Platform => {
                "the purpose is paid by the platform, whatever the toggle"
            }
            Payer::FollowsToggle if !facts.workspace.byo_enabled => "BYO is off",
            Payer::FollowsToggle => "it is refused",
        };
        found.push(Candidate {
            kind: "key",
            name: format!("workspace key for {provider}"),
            reason: reason.to_owned(),
        });
    }
    if facts.platform.keys.contains_key(provider)
        && !matches!(grant, Some(Grant::Free(_) | Grant::Credits(..)))
    {
        let reason = match payer {
            _ if local => "the provider is local and needs no key",
            Payer::FollowsToggle if facts.workspace.byo_enabled => {
                "BYO is on: the platform's key is never used"
            }
            _ => "it is refused",
        };
        found.push(Candidate {
            kind: "key",
            name: format!("platform key for {provider}"),
            reason: reason.to_owned(),
        });
    }
    found
}
