//! The models that a workspace can use: one decision for each model.
//!
//! Invariant: an offer is available exactly if `decide` grants it, and then carries that decision.
//!
//! Not here: paging and wire forms.

use std::collections::BTreeSet;

use super::{
    decide::decide,
    decision::Decision,
    facts::{Ask, Facts},
    model::ModelRequest,
};
use crate::domain::{
    catalog::{ConcreteId, Family},
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
    /// What a call names to get it: the selection as it was chosen, else the family or the id.
    pub asked: ModelName,
    /// The concrete id that a call would use, or the first one where none can be.
    pub model: String,
    /// The catalog's entry for that id.
    pub id: Option<&'a ConcreteId>,
    /// Whether the workspace selected it.
    pub selected: bool,
    /// The decision, or why there is none.
    pub outcome: Result<Decision<'a>, Error>,
}

/// The catalog's families by name, then what the workspace's keys list or its selections name outside it, by provider
/// and id; one provider's only, if one is given.
pub fn offers<'a>(facts: Facts<'a>, provider: Option<&ProviderName>) -> Vec<Offer<'a>> {
    let shown = |name: &ProviderName| provider.is_none_or(|only| only == name);
    let families = facts
        .catalog
        .families()
        .filter(|family| shown(&family.provider));
    let workspace = facts.workspace;
    let known: BTreeSet<&ProviderName> = workspace
        .keys
        .keys()
        .chain(workspace.selections.keys())
        .collect();
    let outside = known
        .into_iter()
        .filter(|name| shown(name) && facts.catalog.providers.contains_key(name))
        .flat_map(|name| outside(facts, name));
    families
        .filter_map(|family| of_family(facts, family))
        .chain(outside)
        .collect()
}

fn of_family<'a>(facts: Facts<'a>, family: &'a Family) -> Option<Offer<'a>> {
    let selection = facts
        .workspace
        .selections
        .get(&family.provider)
        .filter(|selection| {
            let wanted = ModelRequest::named(facts, &family.provider, &selection.model);
            wanted
                .family()
                .is_some_and(|selected| selected.name == family.name)
        });
    let asked = match selection {
        Some(selection) => selection.model.clone(),
        None => ModelName::parse(&family.name).ok()?,
    };
    let outcome = ask(facts, &family.provider, &asked);
    let today = facts.now.date();
    let first = match ModelRequest::named(facts, &family.provider, &asked) {
        ModelRequest::Pinned(_, id) => Some(id),
        ModelRequest::Family(_) | ModelRequest::Outside(..) => family
            .ids
            .iter()
            .find(|id| !id.retired(today))
            .or_else(|| family.ids.first()),
    }?;
    let model = outcome
        .as_ref()
        .map_or_else(|_| first.id.clone(), |decision| decision.model.clone());
    Some(Offer {
        family: Some(&family.name),
        provider: &family.provider,
        id: family.ids.iter().find(|id| id.is(&model)),
        model,
        asked,
        selected: selection.is_some(),
        outcome,
    })
}

fn outside<'a>(facts: Facts<'a>, provider: &'a ProviderName) -> Vec<Offer<'a>> {
    let listing = facts
        .workspace
        .keys
        .get(provider)
        .and_then(|key| key.models.as_ref());
    let selected = facts
        .workspace
        .selections
        .get(provider)
        .map(|selection| selection.model.as_str());
    let listed = listing
        .into_iter()
        .flat_map(|listing| listing.models.iter());
    let ids: BTreeSet<&str> = listed
        .chain(selected)
        .filter(|id| facts.catalog.find(id).is_none())
        .collect();
    ids.into_iter()
        .filter_map(|id| {
            let asked = ModelName::parse(id).ok()?;
            Some(Offer {
                family: None,
                provider,
                outcome: ask(facts, provider, &asked),
                asked,
                model: id.to_owned(),
                id: None,
                selected: selected == Some(id),
            })
        })
        .collect()
}

fn ask<'a>(
    facts: Facts<'a>,
    provider: &ProviderName,
    model: &ModelName,
) -> Result<Decision<'a>, Error> {
    let ask = Ask {
        model: Some(model.clone()),
        provider: Some(provider.clone()),
        purpose: PurposeName::reply(),
    };
    decide(facts, &ask)
}
