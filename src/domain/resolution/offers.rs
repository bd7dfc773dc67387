//! What a workspace can use: the decision asked once for each model.
//!
//! Invariant: an offer is available exactly if `decide` grants it, and then carries that decision.
//!
//! Absent: paging and wire forms.

use std::collections::BTreeSet;

use super::{Ask, Decision, Facts, Wanted, decide};
use crate::domain::{
    catalog::ConcreteId,
    error::Error,
    names::{ModelName, ProviderName, PurposeName},
};

/// A model and what the decision says of it.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The family; `None` outside the catalog.
    pub family: Option<&'a str>,
    /// Who serves it.
    pub provider: &'a ProviderName,
    /// The concrete id that a call would use, or the first one where none can be.
    pub model: String,
    /// The catalog's entry for that id.
    pub id: Option<&'a ConcreteId>,
    /// Whether the workspace selected it.
    pub selected: bool,
    /// The decision, or why there is none.
    pub outcome: Result<Decision<'a>, Error>,
}

/// The catalog's families by name, then what the workspace's keys list outside it, by provider and id; one provider's
/// only, if one is given.
pub fn offers<'a>(facts: Facts<'a>, provider: Option<&ProviderName>) -> Vec<Offer<'a>> {
    let shown = |name: &ProviderName| provider.is_none_or(|only| only == name);
    let families =
        facts.catalog.families().filter(|family| shown(&family.provider)).filter_map(|family| {
            Some((Some(family), &family.provider, ModelName::parse(&family.name).ok()?))
        });
    let outside = facts
        .workspace
        .keys
        .iter()
        .filter(|(name, _)| shown(name) && facts.catalog.providers.contains_key(name))
        .flat_map(|(name, key)| {
            let listed = key.models.iter().flat_map(|listing| listing.models.iter());
            let selected = facts.workspace.selections.get(name).map(|selection| selection.model.as_str());
            let ids: BTreeSet<&str> =
                listed.chain(selected).filter(|id| facts.catalog.find(id).is_none()).collect();
            ids.into_iter().filter_map(move |id| Some((None, name, ModelName::parse(id).ok()?)))
        });
    families
        .chain(outside)
        .map(|(family, provider, model)| {
            let ask = Ask {
                model: Some(model.clone()),
                provider: Some(provider.clone()),
                purpose: PurposeName::reply(),
            };
            let outcome = decide(facts, &ask);
            let first = family.and_then(|family| {
                let served = family.ids.iter().find(|id| !id.retired(facts.now.date()));
                served.or_else(|| family.ids.first())
            });
            let model = match (&outcome, first) {
                (Ok(decision), _) => decision.model.clone(),
                (Err(_), Some(id)) => id.id.clone(),
                (Err(_), None) => model.as_str().to_owned(),
            };
            let id = family.and_then(|family| {
                family.ids.iter().find(|id| id.id == model || id.aliases.contains(&model))
            });
            let selected = facts.workspace.selections.get(provider).is_some_and(|selection| {
                match (Wanted::named(facts, provider, &selection.model), family) {
                    (Wanted::Family(chosen), Some(family)) => chosen.name == family.name,
                    (Wanted::Pinned(chosen, _), Some(family)) => chosen.name == family.name,
                    (Wanted::Outside(_, chosen), None) => chosen.as_str() == model,
                    _ => false,
                }
            });
            Offer {
                family: family.map(|family| family.name.as_str()),
                provider,
                model,
                id,
                selected,
                outcome,
            }
        })
        .collect()
}
