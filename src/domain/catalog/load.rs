//! A catalog from its TOML text.
//!
//! Invariant: a catalog that leaves here keeps every promise of the parent module; all faults are reported at once.
//!
//! Not here: reading the file. The embedded text is `catalog.toml` beside this file.

use std::collections::{BTreeMap, HashMap};

use time::{Date, Month};
use url::Url;

use super::{
    Catalog, ConcreteId, Family, Payer, Price, Provider,
    faults::{CatalogFaults, Faults},
    text::{CatalogText, FamilyText, IdText, PriceText, ProviderText},
};
use crate::domain::{
    names::{ModelName, ProviderName, PurposeName},
    protocol::Protocol,
};

const EMBEDDED: &str = include_str!("catalog.toml");

/// Headers that byokd or HTTP itself sets; an operator may not hand them to callers.
const RESERVED_HEADERS: [&str; 8] = [
    "authorization",
    "x-api-key",
    "anthropic-version",
    "host",
    "content-length",
    "content-type",
    "connection",
    "transfer-encoding",
];

impl Catalog {
    /// The catalog that byokd ships.
    pub fn embedded() -> Result<Self, CatalogFaults> {
        Self::parse(EMBEDDED)
    }

    /// Reads and checks a catalog.
    pub fn parse(text: &str) -> Result<Self, CatalogFaults> {
        let text: CatalogText = toml::from_str(text)
            .map_err(|error| CatalogFaults(vec![error.to_string().trim().to_owned()]))?;
        let mut faults = Faults(Vec::new());
        let catalog = text.build(&mut faults);
        if faults.0.is_empty() {
            Ok(catalog)
        } else {
            Err(CatalogFaults(faults.0))
        }
    }
}

impl CatalogText {
    fn build(self, faults: &mut Faults) -> Catalog {
        faults.unless(
            !self.version.is_empty(),
            "version",
            "is empty; name this state of the catalog",
        );
        let mut providers = BTreeMap::new();
        for (name, text) in self.providers {
            let place = format!("providers.{name}");
            if let Some(name) = faults.name(&place, ProviderName::parse(&name)) {
                providers.insert(name.clone(), text.build(name, &place, faults));
            }
        }
        let mut families = BTreeMap::new();
        for (name, text) in self.models {
            let place = format!("models.\"{name}\"");
            faults.name(&place, ModelName::parse(&name));
            if let Some(family) = text.build(name.clone(), &place, &providers, faults) {
                families.insert(name, family);
            }
        }
        for provider in providers.values() {
            if let Some(default) = &provider.default_model {
                let own = families
                    .get(default)
                    .is_some_and(|family| family.provider == provider.name);
                let place = format!("providers.{}.default_model", provider.name);
                faults.unless(
                    own,
                    &place,
                    "is not one of the provider's families under [models]",
                );
            }
        }
        let known = families.contains_key(&self.default_model);
        faults.unless(known, "default_model", "is not a family under [models]");
        let ids = index(&families, faults);
        let mut purposes =
            BTreeMap::from([(PurposeName::reply().to_string(), Payer::FollowsToggle)]);
        for (name, text) in self.purposes {
            let place = format!("purposes.{name}");
            faults.name(&place, PurposeName::parse(&name));
            let reply = name == PurposeName::reply().as_str() && text.payer != Payer::FollowsToggle;
            faults.unless(
                !reply,
                &place,
                "the purpose of every ordinary call follows the toggle",
            );
            purposes.insert(name, text.payer);
        }
        Catalog {
            version: self.version,
            default_model: self.default_model,
            providers,
            families,
            ids,
            purposes,
        }
    }
}

impl ProviderText {
    fn build(self, name: ProviderName, place: &str, faults: &mut Faults) -> Provider {
        faults.unless(
            !self.hosts.is_empty(),
            place,
            "needs at least one base URL in `hosts`",
        );
        for host in &self.hosts {
            let place = format!("{place}.hosts \"{host}\"");
            faults.unless(
                is_base_url(host),
                &place,
                "must be scheme, host and path only, without trailing slash",
            );
        }
        for header in &self.headers {
            let token = header
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !header.is_empty();
            let free = !RESERVED_HEADERS.contains(&header.to_ascii_lowercase().as_str());
            faults.unless(
                token && free,
                &format!("{place}.headers \"{header}\""),
                "may not be set by callers",
            );
        }
        let byo_fee = self
            .byo_fee
            .map(|price| price.build(&format!("{place}.byo_fee"), faults));
        let billed = self.protocol != Protocol::Local || byo_fee.is_none();
        faults.unless(
            billed,
            place,
            "a local provider is never metered; remove `byo_fee`",
        );
        Provider {
            name,
            protocol: self.protocol,
            hosts: self.hosts,
            headers: self.headers,
            default_model: self.default_model,
            byo_fee,
        }
    }
}

impl FamilyText {
    fn build(
        self,
        name: String,
        place: &str,
        providers: &BTreeMap<ProviderName, Provider>,
        faults: &mut Faults,
    ) -> Option<Family> {
        faults.unless(
            !self.ids.is_empty(),
            place,
            "needs at least one concrete id in `ids`",
        );
        let provider = ProviderName::parse(&self.provider)
            .ok()
            .and_then(|name| providers.get(&name));
        faults.unless(
            provider.is_some(),
            place,
            "its provider is not under [providers]",
        );
        let provider = provider?;
        let metered = provider.protocol != Protocol::Local;
        let priced = self.credits.is_some() || self.byo_fee.is_some();
        faults.unless(
            metered || !priced,
            place,
            "a local model is never metered; remove its prices",
        );
        faults.unless(
            !metered || self.credits.is_some(),
            place,
            "needs `credits`, its price on the platform's key",
        );
        Some(Family {
            name,
            provider: provider.name.clone(),
            ids: self
                .ids
                .into_iter()
                .filter_map(|id| id.build(place, faults))
                .collect(),
            credits: self
                .credits
                .map(|price| price.build(&format!("{place}.credits"), faults)),
            byo_fee: self
                .byo_fee
                .map(|price| price.build(&format!("{place}.byo_fee"), faults)),
        })
    }
}

impl IdText {
    fn build(self, place: &str, faults: &mut Faults) -> Option<ConcreteId> {
        for name in self.aliases.iter().chain([&self.id]) {
            faults.name(&format!("{place}.ids"), ModelName::parse(name));
        }
        let retires = match self.retires {
            None => None,
            Some(written) => {
                let day = calendar_day(&written);
                faults.unless(
                    day.is_some(),
                    &format!("{place}.ids.retires"),
                    "must be a date such as 2027-01-14",
                );
                Some(day?)
            }
        };
        Some(ConcreteId {
            id: self.id,
            aliases: self.aliases,
            retires,
            successor: self.successor,
        })
    }
}

impl PriceText {
    fn build(self, place: &str, faults: &mut Faults) -> Price {
        faults.unless(!self.unit.is_empty(), place, "`unit` is empty");
        faults.unless(
            self.micros_per_call >= 0,
            place,
            "`micros_per_call` is negative",
        );
        Price {
            unit: self.unit,
            micros_per_call: self.micros_per_call,
        }
    }
}

/// Every id and alias with its family; one that two families name is a fault.
fn index(
    families: &BTreeMap<String, Family>,
    faults: &mut Faults,
) -> HashMap<String, (String, usize)> {
    let mut ids = HashMap::new();
    for family in families.values() {
        for (position, id) in family.ids.iter().enumerate() {
            for name in id.aliases.iter().chain([&id.id]) {
                let before = ids.insert(name.clone(), (family.name.clone(), position));
                let place = format!("models.\"{}\".ids", family.name);
                faults.unless(
                    before.is_none(),
                    &place,
                    &format!("\"{name}\" is named twice in the catalog"),
                );
            }
        }
    }
    ids
}

fn is_base_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    matches!(url.scheme(), "https" | "http")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && !text.ends_with('/')
}

fn calendar_day(written: &toml::value::Datetime) -> Option<Date> {
    let date = written.date?;
    if written.time.is_some() {
        return None;
    }
    Date::from_calendar_date(
        i32::from(date.year),
        Month::try_from(date.month).ok()?,
        date.day,
    )
    .ok()
}

#[cfg(test)]
mod tests;
