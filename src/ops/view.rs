//! What operations answer: workspaces, keys and models as others may see them.
//!
//! Invariants: no type here can hold a secret or a sealed record. They are also the form in which the result of a
//! change is remembered, so that a retry gets the same answer.
//!
//! Absent: wire forms (`grpc/answer`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, serde::rfc3339};
use uuid::Uuid;

use crate::domain::{
    catalog::Catalog,
    names::ProviderName,
    resolution::{BillingMode, Decision, Grant, Offer},
    verdict::{Badge, Condemnation, Verdict},
    workspace::{Holder, StoredKey, Workspace},
};

/// A key, masked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyView {
    /// The provider.
    pub provider: String,
    /// `None` before it is stored.
    pub key_id: Option<Uuid>,
    /// At most the last 4 characters.
    pub masked: String,
    /// 0 before it is stored.
    pub generation: u64,
    /// What to show.
    pub badge: Badge,
    /// What the last test call taught.
    pub verdict: Option<Verdict>,
    /// When that was.
    #[serde(with = "rfc3339::option")]
    pub checked_at: Option<OffsetDateTime>,
    /// When it last worked.
    #[serde(with = "rfc3339::option")]
    pub verified_at: Option<OffsetDateTime>,
    /// What it is bound to.
    pub base_url: String,
    /// What it is bound to.
    pub headers: BTreeMap<String, String>,
    /// Who set it.
    pub set_by: String,
    /// On whose behalf.
    pub on_behalf_of: String,
    /// When.
    #[serde(with = "rfc3339::option")]
    pub set_at: Option<OffsetDateTime>,
}

impl KeyView {
    /// A stored key.
    pub(super) fn new(
        provider: &ProviderName,
        key: &StoredKey,
        condemnation: &Condemnation,
    ) -> Self {
        Self {
            provider: provider.to_string(),
            key_id: Some(key.key_id),
            masked: key.masked.clone(),
            generation: key.generation,
            badge: key.health.badge(condemnation),
            verdict: key.health.verdict,
            checked_at: key.health.checked_at,
            verified_at: key.health.verified_at,
            base_url: key.binding.base_url.clone(),
            headers: key.binding.headers.clone(),
            set_by: key.set_by.clone(),
            on_behalf_of: key.on_behalf_of.as_str().to_owned(),
            set_at: Some(key.set_at),
        }
    }
}

/// A stored key as an audit row remembers it; `Null`: none.
fn remembered_key(key: Option<&StoredKey>) -> Value {
    key.map_or(Value::Null, |key| {
        json!({
            "key_id": key.key_id,
            "generation": key.generation,
            "masked": key.masked,
            "base_url": key.binding.base_url,
        })
    })
}

/// What a holder has for one provider, as an audit row remembers it before and after a change.
pub(super) fn remembered(holder: &Holder, provider: &ProviderName) -> Value {
    let key = remembered_key(holder.keys().get(provider));
    match holder {
        Holder::Platform(_) => json!({ "key": key }),
        Holder::Workspace(workspace) => json!({
            "key": key,
            "byo_enabled": workspace.byo_enabled,
            "selected_model": workspace.selections.get(provider).map(|selection| selection.model.as_str()),
        }),
    }
}

/// All that a holder has, likewise.
pub(super) fn remembered_all(workspace: &Workspace) -> Value {
    let keys = workspace
        .keys
        .iter()
        .map(|(name, key)| (name.to_string(), remembered_key(Some(key))));
    let selections = workspace
        .selections
        .iter()
        .map(|(name, chosen)| (name.to_string(), Value::from(chosen.model.as_str())));
    json!({
        "keys": Map::from_iter(keys),
        "byo_enabled": workspace.byo_enabled,
        "selected_models": Map::from_iter(selections),
    })
}

/// What a workspace has for one provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ProviderEntryView {
    /// The provider.
    pub provider: String,
    /// The active key.
    pub key: Option<KeyView>,
    /// The selected model.
    pub selected_model: Option<String>,
    /// Whether the catalog still has the provider.
    pub configured: bool,
}

/// A workspace.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkspaceView {
    /// The product's id.
    pub workspace_id: String,
    /// The toggle.
    pub byo_enabled: bool,
    /// By name.
    pub providers: Vec<ProviderEntryView>,
    /// Counts the changes.
    pub revision: u64,
}

impl WorkspaceView {
    pub(super) fn new(
        workspace: &Workspace,
        catalog: &Catalog,
        condemnation: &Condemnation,
    ) -> Self {
        let mut names: Vec<&ProviderName> = workspace
            .keys
            .keys()
            .chain(workspace.selections.keys())
            .collect();
        names.sort();
        names.dedup();
        Self {
            workspace_id: workspace.id.to_string(),
            byo_enabled: workspace.byo_enabled,
            providers: names
                .into_iter()
                .map(|name| ProviderEntryView {
                    provider: name.to_string(),
                    key: workspace
                        .keys
                        .get(name)
                        .map(|key| KeyView::new(name, key, condemnation)),
                    selected_model: workspace
                        .selections
                        .get(name)
                        .map(|selection| selection.model.to_string()),
                    configured: catalog.providers.contains_key(name),
                })
                .collect(),
            revision: workspace.revision,
        }
    }
}

/// What a test call of a stored key taught.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyChecked {
    /// The key after it.
    pub key: KeyView,
    /// This call's verdict.
    pub verdict: Verdict,
}

/// The payer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BillingView {
    /// Who pays.
    pub mode: BillingMode,
    /// What to charge per call; `None`: nothing.
    pub charge: Option<ChargeView>,
}

/// A charge per call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChargeView {
    /// The unit.
    pub unit: String,
    /// Millionths of it.
    pub micros_per_call: i64,
    /// Where the price stands.
    pub catalog_version: String,
}

impl BillingView {
    fn new(grant: &Grant<'_>, catalog: &Catalog) -> Self {
        Self {
            mode: grant.billing_mode(),
            charge: grant.charge().map(|price| ChargeView {
                unit: price.unit.clone(),
                micros_per_call: price.micros_per_call,
                catalog_version: catalog.version.clone(),
            }),
        }
    }
}

/// Whose key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// No key: the model is local.
    None,
    /// The workspace's.
    Workspace,
    /// The operator's.
    Platform,
}

/// A granted decision, without its secret.
#[derive(Clone, Debug)]
pub struct ResolutionView {
    /// Who serves the call.
    pub provider: String,
    /// The family.
    pub family: Option<String>,
    /// The id to send.
    pub model: String,
    /// Where to.
    pub base_url: String,
    /// With what.
    pub headers: BTreeMap<String, String>,
    /// Which header carries the key.
    pub auth_header: &'static str,
    /// What stands before it.
    pub auth_prefix: &'static str,
    /// Who pays.
    pub billing: BillingView,
    /// Whose key.
    pub source: KeySource,
    /// Which key.
    pub key_id: Option<Uuid>,
    /// Its generation; 0 without a key.
    pub generation: u64,
}

impl ResolutionView {
    pub(super) fn new(decision: &Decision<'_>, catalog: &Catalog) -> Self {
        let key = decision.grant.key();
        Self {
            provider: decision.provider.name.to_string(),
            family: decision.family.map(|family| family.name.clone()),
            model: decision.model.clone(),
            base_url: decision.base_url().to_owned(),
            headers: decision.headers(),
            auth_header: decision.provider.protocol.auth_header(),
            auth_prefix: decision.provider.protocol.auth_prefix(),
            billing: BillingView::new(&decision.grant, catalog),
            source: match decision.grant {
                Grant::Local => KeySource::None,
                Grant::Free(_) | Grant::Credits(..) => KeySource::Platform,
                Grant::Byo(..) => KeySource::Workspace,
            },
            key_id: key.map(|key| key.key_id),
            generation: key.map_or(0, |key| key.generation),
        }
    }
}

/// A model and whether it can be used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ModelView {
    /// The family; `None` outside the catalog.
    pub family: Option<String>,
    /// Who serves it.
    pub provider: String,
    /// The concrete id.
    pub model: String,
    /// Why it cannot be used; `None`: it can.
    pub unavailable_reason: Option<String>,
    /// Whether it is selected.
    pub selected: bool,
    /// Who would pay.
    pub billing: Option<BillingView>,
    /// `YYYY-MM-DD`.
    pub retires: Option<String>,
    /// What replaces it.
    pub successor: Option<String>,
}

impl ModelView {
    pub(super) fn new(offer: &Offer<'_>, catalog: &Catalog) -> Self {
        Self {
            family: offer.family.map(str::to_owned),
            provider: offer.provider.to_string(),
            model: offer.model.clone(),
            unavailable_reason: offer
                .outcome
                .as_ref()
                .err()
                .map(|error| error.reason().as_str().to_owned()),
            selected: offer.selected,
            billing: offer
                .outcome
                .as_ref()
                .ok()
                .map(|decision| BillingView::new(&decision.grant, catalog)),
            retires: offer
                .id
                .and_then(|id| id.retires)
                .map(|day| day.to_string()),
            successor: offer.id.and_then(|id| id.successor.clone()),
        }
    }
}
