//! The catalog: what the product offers, at which price, for how long. Data, not code.
//!
//! Invariants (checked by `load`): a family's provider, a default model and a purpose's payer exist; an id or alias
//! belongs to one family; a family of a provider that bills has a price in credits, since a forgotten price would be
//! free; a local provider's family has none.
//!
//! Not here: availability. Which id a key can use is the decision's business (`domain::resolution`).

mod faults;
mod load;
mod text;

use std::collections::{BTreeMap, HashMap, HashSet};

use time::Date;

pub use faults::CatalogFaults;

use super::{
    names::{ProviderName, PurposeName},
    protocol::Protocol,
};

/// Everything the product offers.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The operator's name for this state of the catalog; part of every charge.
    pub version: String,
    /// The family for a call that names nothing.
    pub default_model: String,
    /// The providers, by name.
    pub providers: BTreeMap<ProviderName, Provider>,
    families: BTreeMap<String, Family>,
    /// Concrete id or alias → its family and the position of the id there.
    ids: HashMap<String, (String, usize)>,
    purposes: BTreeMap<String, Payer>,
}

/// An LLM vendor behind one wire protocol.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Base URLs that a key may be bound to, without trailing slash; the first is the default. Never empty.
    pub hosts: Vec<String>,
    /// Header names that `SetKey` may add, in the catalog's spelling.
    pub headers: Vec<String>,
    /// The family for a call that names the provider alone.
    pub default_model: Option<String>,
    /// What a BYO call outside the catalog costs.
    pub byo_fee: Option<Price>,
}

/// A model as the product sells it: one name for a row of concrete ids.
#[derive(Clone, Debug)]
pub struct Family {
    /// The name.
    pub name: String,
    /// Who serves it.
    pub provider: ProviderName,
    /// The concrete ids in order of preference. Never empty.
    pub ids: Vec<ConcreteId>,
    /// The price of a call on the platform's key; `None` only for a local provider.
    pub credits: Option<Price>,
    /// The orchestration fee of a call on the workspace's key.
    pub byo_fee: Option<Price>,
}

/// One id that a provider accepts.
#[derive(Clone, Debug)]
pub struct ConcreteId {
    /// The provider's own, dated or pinned spelling.
    pub id: String,
    /// Other spellings of the same model.
    pub aliases: Vec<String>,
    /// From this day (UTC) on the provider no longer serves it.
    pub retires: Option<Date>,
    /// What the provider names as replacement.
    pub successor: Option<String>,
}

impl Family {
    /// Whether one of its ids is spelt so.
    pub fn has(&self, name: &str) -> bool {
        self.ids.iter().any(|id| id.is(name))
    }
}

impl ConcreteId {
    /// Whether this is its id or one of its aliases.
    pub fn is(&self, name: &str) -> bool {
        self.id == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Whether the provider no longer serves it on this day.
    pub fn retired(&self, today: Date) -> bool {
        self.retires.is_some_and(|day| today >= day)
    }
}

/// An amount for each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// E.g. `credits` or `USD`.
    pub unit: String,
    /// Millionths of the unit; never negative.
    pub micros_per_call: i64,
}

/// Who pays for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// The BYO toggle says.
    FollowsToggle,
    /// The platform, in credits, whatever the toggle.
    Platform,
    /// No charge; the call uses the platform key.
    Free,
}

/// What a name means in the catalog.
#[derive(Clone, Copy, Debug)]
pub enum Listed<'a> {
    /// A family.
    Family(&'a Family),
    /// A concrete id or an alias of one.
    Id(&'a Family, &'a ConcreteId),
}

impl<'a> Listed<'a> {
    /// The family it belongs to.
    pub fn family(self) -> &'a Family {
        match self {
            Self::Family(family) | Self::Id(family, _) => family,
        }
    }
}

impl Catalog {
    /// What a name means: exactly, never by prefix. A name that is both family and alias is the family.
    pub fn find(&self, model: &str) -> Option<Listed<'_>> {
        if let Some(family) = self.families.get(model) {
            return Some(Listed::Family(family));
        }
        let (family, position) = self.ids.get(model)?;
        let family = self.families.get(family)?;
        Some(Listed::Id(family, family.ids.get(*position)?))
    }

    /// The families, by name.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    /// The ids and aliases that the catalog sells of a provider.
    pub fn sold(&self, provider: &Provider) -> HashSet<String> {
        self.families
            .values()
            .filter(|family| family.provider == provider.name)
            .flat_map(|family| &family.ids)
            .flat_map(|id| id.aliases.iter().chain([&id.id]))
            .cloned()
            .collect()
    }

    /// Who pays for a purpose; `None`: the catalog does not know it.
    pub fn payer(&self, purpose: &PurposeName) -> Option<Payer> {
        self.purposes.get(purpose.as_str()).copied()
    }

    /// The ids of a provider that a test call may try, in order of preference: its default family first.
    pub fn candidates(&self, provider: &Provider, today: Date) -> Vec<String> {
        let default = provider.default_model.as_deref();
        let of_provider = || {
            self.families
                .values()
                .filter(|family| family.provider == provider.name)
        };
        of_provider()
            .filter(|family| Some(family.name.as_str()) == default)
            .chain(of_provider().filter(|family| Some(family.name.as_str()) != default))
            .flat_map(|family| &family.ids)
            .filter(|id| !id.retired(today))
            .map(|id| id.id.clone())
            .collect()
    }
}
