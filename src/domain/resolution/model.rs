//! Which model: from what was asked, selected or set as default, to the concrete id to send.
//!
//! Invariants: matching is exact or by alias, never by prefix. Only a fresh list refuses; hidden, absent or older
//! means unknown, and unknown is allowed.
//!
//! Not here: who pays, which the caller of `which` has already read off the purpose and the toggle.

use time::Date;

use super::{
    facts::{Ask, Facts},
    refusals::{model_unknown, provider_disabled, provider_unknown},
};
use crate::domain::{
    catalog::{Catalog, ConcreteId, Family, Listed, Price, Provider},
    error::{Error, Reason},
    models::ModelList,
    names::{ModelName, ProviderName},
    protocol::Protocol,
};

/// What a call is to be answered with, before a key is looked at.
#[derive(Clone, Debug)]
pub enum ModelRequest<'a> {
    /// The first usable id of a family.
    Family(&'a Family),
    /// This id of the catalog.
    Pinned(&'a Family, &'a ConcreteId),
    /// An id that the catalog does not know.
    Outside(ProviderName, ModelName),
}

/// What is wanted. `byo` says whether the workspace's own key would pay.
pub(super) fn which<'a>(facts: Facts<'a>, ask: &Ask, byo: bool) -> Result<ModelRequest<'a>, Error> {
    if let Some(provider) = &ask.provider {
        known(facts, provider)?;
    }
    if let Some(model) = &ask.model {
        return asked(facts.catalog, model, ask.provider.as_ref());
    }
    let mut selections: Vec<_> = facts
        .workspace
        .selections
        .iter()
        .filter(|(provider, _)| ask.provider.as_ref().is_none_or(|asked| asked == *provider))
        .collect();
    selections.sort_by_key(|(_, selection)| std::cmp::Reverse(selection.revision));
    let selected = selections
        .into_iter()
        .map(|(provider, selection)| ModelRequest::named(facts, provider, &selection.model))
        // Where the platform pays, a selection outside the catalog is passed over; a local model needs no payer.
        .find(|wanted| byo || wanted.family().is_some() || wanted.is_local(facts));
    match (selected, &ask.provider) {
        (Some(wanted), _) => Ok(wanted),
        (None, Some(provider)) => default_of(facts, provider),
        (None, None) => family(facts, &facts.catalog.default_model),
    }
}

/// What a model means together with its provider; `FIELD_INVALID` if another provider serves it.
pub fn agreed<'a>(
    catalog: &'a Catalog,
    provider: &ProviderName,
    model: &ModelName,
) -> Result<ModelRequest<'a>, Error> {
    asked(catalog, model, Some(provider))
}

/// The id that a workspace's key would use for a model, or why it cannot: what a selection is judged by.
pub fn usable(
    catalog: &Catalog,
    provider: &ProviderName,
    model: &ModelName,
    fresh: Option<&ModelList>,
    today: Date,
) -> Result<String, Error> {
    agreed(catalog, provider, model)?.concrete(fresh, true, today)
}

fn known(facts: Facts<'_>, provider: &ProviderName) -> Result<(), Error> {
    if facts.catalog.providers.contains_key(provider) || facts.workspace.knows(provider) {
        return Ok(());
    }
    Err(provider_unknown(provider))
}

fn asked<'a>(
    catalog: &'a Catalog,
    model: &ModelName,
    provider: Option<&ProviderName>,
) -> Result<ModelRequest<'a>, Error> {
    match (catalog.find(model.as_str()), provider) {
        (Some(listed), Some(provider)) if listed.family().provider != *provider => Err(Error::new(
            Reason::FieldInvalid,
            format!(
                "the model {model} is served by {}, not by {provider}; name one of them",
                listed.family().provider
            ),
        )
        .in_field("provider")),
        (Some(listed), _) => Ok(ModelRequest::of(listed)),
        (None, Some(provider)) => Ok(ModelRequest::Outside(provider.clone(), model.clone())),
        (None, None) => Err(model_unknown(
            model.as_str(),
            "name its provider to use it outside the catalog",
        )),
    }
}

fn default_of<'a>(facts: Facts<'a>, provider: &ProviderName) -> Result<ModelRequest<'a>, Error> {
    match facts.catalog.providers.get(provider) {
        None => Err(provider_disabled(provider)),
        Some(Provider {
            default_model: Some(name),
            ..
        }) => family(facts, name),
        Some(_) => Err(Error::new(
            Reason::ModelUnknown,
            format!("the catalog names no default model for {provider}; name a model"),
        )),
    }
}

fn family<'a>(facts: Facts<'a>, name: &str) -> Result<ModelRequest<'a>, Error> {
    facts
        .catalog
        .find(name)
        .map(ModelRequest::of)
        .ok_or_else(|| model_unknown(name, "the catalog's default is missing"))
}

impl<'a> ModelRequest<'a> {
    fn of(listed: Listed<'a>) -> Self {
        match listed {
            Listed::Family(family) => Self::Family(family),
            Listed::Id(family, id) => Self::Pinned(family, id),
        }
    }

    /// What a stored name means at a provider now; a name that another provider took over is outside the catalog.
    pub(super) fn named(facts: Facts<'a>, provider: &ProviderName, model: &ModelName) -> Self {
        match facts.catalog.find(model.as_str()) {
            Some(listed) if listed.family().provider == *provider => Self::of(listed),
            _ => Self::Outside(provider.clone(), model.clone()),
        }
    }

    /// Who serves it.
    pub fn provider(&self) -> &ProviderName {
        match self {
            Self::Family(family) | Self::Pinned(family, _) => &family.provider,
            Self::Outside(provider, _) => provider,
        }
    }

    /// The family; `None` outside the catalog.
    pub fn family(&self) -> Option<&'a Family> {
        match self {
            Self::Family(family) | Self::Pinned(family, _) => Some(family),
            Self::Outside(..) => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Family(family) => &family.name,
            Self::Pinned(_, id) => &id.id,
            Self::Outside(_, model) => model.as_str(),
        }
    }

    pub(super) fn credits(&self) -> Result<&'a Price, Error> {
        let price = self.family().and_then(|family| family.credits.as_ref());
        price.ok_or_else(|| Error::internal(format!("{} has no price in credits", self.name())))
    }

    pub(super) fn fee<'p>(&self, provider: &'p Provider) -> Option<&'p Price>
    where
        'a: 'p,
    {
        match self.family() {
            Some(family) => family.byo_fee.as_ref(),
            None => provider.byo_fee.as_ref(),
        }
    }

    fn is_local(&self, facts: Facts<'_>) -> bool {
        facts
            .catalog
            .providers
            .get(self.provider())
            .is_some_and(|provider| provider.protocol == Protocol::Local)
    }

    /// The id for a generation probe. It ignores the key's list, because the provider decides.
    pub fn to_test(&self, today: Date) -> Result<String, Error> {
        match self {
            Self::Pinned(_, id) => Ok(id.id.clone()),
            Self::Family(_) | Self::Outside(..) => self.concrete(None, true, today),
        }
    }

    /// The concrete id in the spelling to send. `fresh` is the paying key's list; `byo` says that it refuses.
    pub(super) fn concrete(
        &self,
        fresh: Option<&ModelList>,
        byo: bool,
        today: Date,
    ) -> Result<String, Error> {
        match self {
            Self::Family(family) => family
                .ids
                .iter()
                .find(|id| unfit(id, fresh, byo, today).is_none())
                .map(|id| spelling(id, fresh).to_owned())
                .ok_or_else(|| {
                    // A successor within the family was judged like the others.
                    let successors = family.ids.iter().filter_map(|id| id.successor.as_deref());
                    let successor = successors.into_iter().find(|name| !family.has(name));
                    unavailable(
                        &family.name,
                        "no id of it is both served and listed for the key",
                        successor,
                    )
                }),
            Self::Pinned(_, id) => {
                let shown = fresh.is_some_and(|list| listed(id, list).is_some());
                match unfit(id, fresh, byo, today) {
                    Some(Unfit::Retired) if !shown => Err(unavailable(
                        &id.id,
                        "its provider has retired it",
                        id.successor.as_deref(),
                    )),
                    Some(Unfit::NotListed) => Err(unavailable(
                        &id.id,
                        "the key's own list does not show it",
                        id.successor.as_deref(),
                    )),
                    Some(Unfit::Retired) | None => Ok(spelling(id, fresh).to_owned()),
                }
            }
            Self::Outside(_, model) => match fresh {
                Some(list) if byo && !list.contains(model.as_str()) => Err(unavailable(
                    model.as_str(),
                    "the key's own list does not show it",
                    None,
                )),
                _ => Ok(model.as_str().to_owned()),
            },
        }
    }
}

/// Why an id is not taken for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Retired,
    NotListed,
}

pub(super) fn unfit(
    id: &ConcreteId,
    fresh: Option<&ModelList>,
    byo: bool,
    today: Date,
) -> Option<Unfit> {
    if id.retired(today) {
        return Some(Unfit::Retired);
    }
    let hidden = byo && fresh.is_some_and(|list| listed(id, list).is_none());
    hidden.then_some(Unfit::NotListed)
}

/// The spelling that the key lists, else the dated id.
fn spelling<'i>(id: &'i ConcreteId, fresh: Option<&ModelList>) -> &'i str {
    fresh.and_then(|list| listed(id, list)).unwrap_or(&id.id)
}

fn listed<'i>(id: &'i ConcreteId, list: &ModelList) -> Option<&'i str> {
    std::iter::once(&id.id)
        .chain(&id.aliases)
        .map(String::as_str)
        .find(|name| list.contains(name))
}

fn unavailable(model: &str, why: &str, successor: Option<&str>) -> Error {
    let advice = successor.map_or_else(String::new, |successor| {
        format!("; use {successor} instead")
    });
    let error = Error::new(
        Reason::ModelNotAvailable,
        format!("the model {model} cannot be used: {why}{advice}"),
    )
    .with("model", model);
    match successor {
        Some(successor) => error.with("successor", successor),
        None => error,
    }
}
