//! A granted decision, without the secret.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::billing::BillingView;
use crate::domain::{
    catalog::Catalog,
    resolution::{Decision, Grant},
};

/// The owner of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// No key: the model is local.
    None,
    /// The workspace.
    Workspace,
    /// The operator.
    Platform,
}

impl KeySource {
    /// The name in the audit stream.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Workspace => "workspace",
            Self::Platform => "platform",
        }
    }
}

/// A granted decision, without the secret.
#[derive(Clone, Debug)]
pub struct ResolutionView {
    /// The provider.
    pub provider: String,
    /// `None`: outside the catalog.
    pub family: Option<String>,
    /// The id to send to the provider.
    pub model: String,
    /// The base URL to call.
    pub base_url: String,
    /// The fixed headers to send; not secret.
    pub headers: BTreeMap<String, String>,
    /// The header that carries the key.
    pub auth_header: &'static str,
    /// The text before the key in that header.
    pub auth_prefix: &'static str,
    /// The payer, and the price.
    pub billing: BillingView,
    /// The owner of the key.
    pub source: KeySource,
    /// `None`: no key.
    pub key_id: Option<Uuid>,
    /// 0: no key.
    pub generation: u64,
}

impl ResolutionView {
    /// The view of a decision.
    pub fn new(decision: &Decision<'_>, catalog: &Catalog) -> Self {
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
