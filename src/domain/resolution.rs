//! The decision: whose key, which model, where, and who pays. One pure function, no IO.
//!
//! `ResolveCredentials`, `ExplainResolution` and `ListModels` all ask it, so they cannot disagree. First match wins:
//!
//! 1. provider not configured → `PROVIDER_DISABLED`
//! 2. local provider → no credential, unmetered
//! 3. purpose is free → platform key, unmetered
//! 4. purpose is the platform's → platform key, credits
//! 5. toggle off → platform key, credits
//! 6. toggle on, no key → `BYO_KEY_MISSING`, **never the platform key**
//! 7. the key's endpoint is no longer allowed → `ENDPOINT_NO_LONGER_ALLOWED`
//! 8. the key is condemned → `BYO_KEY_REJECTED`
//! 9. the key cannot use the model → `MODEL_NOT_AVAILABLE`
//! 10. otherwise → the workspace's key, BYO
//!
//! Invariants: a key leaves here only inside a `Grant`, which is a payer too; with BYO on, a purpose that follows the
//! toggle never yields a platform key; there is no arm that tries the other payer.
//!
//! Absent: caches, leases, secrets. `candidates` and `offers` show the decision to people; they decide nothing.

mod candidates;
mod model;
mod offers;
#[cfg(test)]
mod properties;
mod refusals;
#[cfg(test)]
mod table;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;

use time::OffsetDateTime;

pub use candidates::{Candidate, candidates};
pub use model::{Wanted, agreed, usable};
pub use offers::{Offer, offers};
pub use refusals::{
    endpoint_no_longer_allowed, key_damaged, model_unknown, provider_disabled, provider_unknown,
    purpose_unknown,
};

use super::{
    catalog::{Catalog, Family, Payer, Price, Provider},
    error::{Error, Reason},
    names::{ModelName, ProviderName, PurposeName},
    protocol::Protocol,
    verdict::Condemnation,
    workspace::{Platform, StoredKey, Workspace},
};

/// What a call for a workspace that was never seen gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownWorkspace {
    /// The platform's key and credits: works with no set-up.
    Platform,
    /// `WORKSPACE_UNKNOWN`.
    Refuse,
}

/// The operator's choices in the decision.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a workspace that was never seen gets.
    pub unknown_workspace: UnknownWorkspace,
    /// When a stored key is no longer used.
    pub condemnation: Condemnation,
}

/// Everything the decision rests on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The customer's side.
    pub workspace: &'a Workspace,
    /// The operator's side.
    pub platform: &'a Platform,
    /// What is offered.
    pub catalog: &'a Catalog,
    /// The operator's choices.
    pub policy: &'a Policy,
    /// The date and time, in UTC.
    pub now: OffsetDateTime,
}

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// A family, an alias or a concrete id.
    pub model: Option<ModelName>,
    /// The provider.
    pub provider: Option<ProviderName>,
    /// What the call is for.
    pub purpose: PurposeName,
}

/// What a caller gets.
#[derive(Debug)]
pub struct Decision<'a> {
    /// Who serves the call.
    pub provider: &'a Provider,
    /// The family; `None` outside the catalog.
    pub family: Option<&'a Family>,
    /// The concrete id in the spelling to send.
    pub model: String,
    /// Whose key, and who pays: one answer.
    pub grant: Grant<'a>,
}

/// Who pays the provider, and whether the product charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BillingMode {
    /// Metered, on the platform's key.
    Credits,
    /// The provider bills the customer.
    Byo,
    /// Nothing is charged.
    Unmetered,
}

impl BillingMode {
    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credits => "CREDITS",
            Self::Byo => "BYO",
            Self::Unmetered => "UNMETERED",
        }
    }
}

/// A key together with its payer.
#[derive(Debug)]
pub enum Grant<'a> {
    /// No key, nothing metered.
    Local,
    /// The platform's key, nothing metered.
    Free(&'a StoredKey),
    /// The platform's key, metered in credits.
    Credits(&'a StoredKey, &'a Price),
    /// The workspace's key; its provider bills it. The price is the orchestration fee.
    Byo(&'a StoredKey, Option<&'a Price>),
}

impl<'a> Grant<'a> {
    /// The key; none for a local model.
    pub fn key(&self) -> Option<&'a StoredKey> {
        match self {
            Self::Local => None,
            Self::Free(key) | Self::Credits(key, _) | Self::Byo(key, _) => Some(key),
        }
    }

    /// Who pays.
    pub fn billing_mode(&self) -> BillingMode {
        match self {
            Self::Local | Self::Free(_) => BillingMode::Unmetered,
            Self::Credits(..) => BillingMode::Credits,
            Self::Byo(..) => BillingMode::Byo,
        }
    }

    /// What may be charged for each call.
    pub fn charge(&self) -> Option<&'a Price> {
        match self {
            Self::Local | Self::Free(_) => None,
            Self::Credits(_, price) => Some(price),
            Self::Byo(_, fee) => *fee,
        }
    }
}

impl Decision<'_> {
    /// Where the call goes.
    pub fn base_url(&self) -> &str {
        match self.grant.key() {
            Some(key) => &key.binding.base_url,
            None => self.provider.hosts.first().map_or("", String::as_str),
        }
    }

    /// The headers that go with it, apart from the one that carries the key.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let mut headers = self
            .grant
            .key()
            .map(|key| key.binding.headers.clone())
            .unwrap_or_default();
        headers.extend(
            self.provider
                .protocol
                .fixed_header()
                .map(|(name, value)| (name.into(), value.into())),
        );
        headers
    }
}

/// Whether the workspace's own key pays for this purpose, if anything has to be paid.
pub fn byo_pays(catalog: &Catalog, workspace: &Workspace, purpose: &PurposeName) -> bool {
    workspace.byo_enabled && catalog.payer(purpose) == Some(Payer::FollowsToggle)
}

/// Decides one call.
pub fn decide<'a>(facts: Facts<'a>, ask: &Ask) -> Result<Decision<'a>, Error> {
    let payer = facts
        .catalog
        .payer(&ask.purpose)
        .ok_or_else(|| purpose_unknown(&ask.purpose))?;
    let byo = byo_pays(facts.catalog, facts.workspace, &ask.purpose);
    let wanted = model::which(facts, ask, byo)?;
    let Some(provider) = facts.catalog.providers.get(wanted.provider()) else {
        return Err(provider_disabled(wanted.provider())); // row 1
    };
    let grant = match (provider.protocol, payer) {
        (Protocol::Local, _) => Grant::Local,
        (_, Payer::Free) => Grant::Free(platform_key(facts, provider, &wanted)?),
        (_, Payer::FollowsToggle) if byo => {
            let key = workspace_key(facts, provider)?;
            Grant::Byo(key, wanted.fee(provider))
        }
        (_, Payer::FollowsToggle) if refuses_unknown(facts) => return Err(workspace_unknown()),
        (_, Payer::Platform | Payer::FollowsToggle) => {
            let key = platform_key(facts, provider, &wanted)?;
            Grant::Credits(key, wanted.credits()?)
        }
    };
    let fresh = grant.key().and_then(|key| key.fresh_models(facts.now));
    let model = wanted.concrete(fresh, matches!(grant, Grant::Byo(..)), facts.now.date())?;
    Ok(Decision {
        provider,
        family: wanted.family(),
        model,
        grant,
    })
}

fn refuses_unknown(facts: Facts<'_>) -> bool {
    facts.policy.unknown_workspace == UnknownWorkspace::Refuse && !facts.workspace.exists
}

/// Rows 3 to 5: the operator's key.
fn platform_key<'a>(
    facts: Facts<'a>,
    provider: &Provider,
    wanted: &Wanted<'a>,
) -> Result<&'a StoredKey, Error> {
    if wanted.family().is_none() {
        return Err(model_unknown(
            wanted.name(),
            "the platform's keys serve models of the catalog only",
        ));
    }
    if facts.platform.damaged.contains(&provider.name) {
        return Err(key_damaged("the platform's key", &provider.name));
    }
    let key = facts.platform.keys.get(&provider.name).ok_or_else(|| {
        Error::new(
            Reason::PlatformKeyMissing,
            format!(
                "the platform has no key for {}; its operator sets one with SetPlatformKey",
                provider.name
            ),
        )
        .with("provider", provider.name.as_str())
    })?;
    still_allowed(key, provider)?;
    if key.health.condemned(&facts.policy.condemnation) {
        return Err(condemned(
            Reason::PlatformKeyRejected,
            "the platform's key",
            key,
            provider,
        ));
    }
    Ok(key)
}

/// Rows 6 to 8: the workspace's own key, or a refusal; never another's.
fn workspace_key<'a>(facts: Facts<'a>, provider: &Provider) -> Result<&'a StoredKey, Error> {
    if facts.workspace.damaged.contains(&provider.name) {
        return Err(key_damaged("the workspace's key", &provider.name));
    }
    let key = facts.workspace.keys.get(&provider.name).ok_or_else(|| {
        Error::new(
            Reason::ByoKeyMissing,
            format!(
                "BYO is on and the workspace has no key for {0}; set one with SetKey, or switch BYO off",
                provider.name
            ),
        )
        .with("provider", provider.name.as_str())
    })?;
    still_allowed(key, provider)?;
    if key.health.condemned(&facts.policy.condemnation) {
        return Err(condemned(
            Reason::ByoKeyRejected,
            "the workspace's key",
            key,
            provider,
        ));
    }
    Ok(key)
}

/// Whether the catalog still allows what a key is bound to.
pub fn binding_allowed(key: &StoredKey, provider: &Provider) -> bool {
    let allowed = |name: &str| {
        provider
            .headers
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
    };
    provider.hosts.contains(&key.binding.base_url)
        && key.binding.headers.keys().all(|name| allowed(name))
}

fn still_allowed(key: &StoredKey, provider: &Provider) -> Result<(), Error> {
    if binding_allowed(key, provider) {
        return Ok(());
    }
    Err(endpoint_no_longer_allowed(&provider.name))
}

fn condemned(reason: Reason, whose: &str, key: &StoredKey, provider: &Provider) -> Error {
    let verdict = key.health.verdict.map_or("", |verdict| verdict.as_str());
    let when = key.health.checked_at.map(rfc3339).unwrap_or_default();
    Error::new(
        reason,
        format!(
            "{whose} for {} was refused by the provider again and again ({verdict}, last at {when}); set a new one, \
             or verify it once the provider accepts it",
            provider.name
        ),
    )
    .with("provider", provider.name.as_str())
    .with("verdict", verdict)
    .with("checked_at", when)
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

fn workspace_unknown() -> Error {
    Error::new(
        Reason::WorkspaceUnknown,
        "the workspace was never seen, and this byokd refuses such; ToggleByo or SetKey makes it known",
    )
}
