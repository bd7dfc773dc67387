//! A key, masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, serde::rfc3339};
use uuid::Uuid;

use crate::domain::{
    names::ProviderName,
    verdict::{Badge, Condemnation, Verdict},
    workspace::StoredKey,
};

/// A key, masked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyView {
    /// The provider.
    pub provider: String,
    /// `None`: not stored.
    pub key_id: Option<Uuid>,
    /// At most the last 4 characters.
    pub masked: String,
    /// 0: not stored.
    pub generation: u64,
    /// The badge.
    pub badge: Badge,
    /// The verdict of the last key check; `None`: never checked.
    pub verdict: Option<Verdict>,
    /// The time of the last key check.
    #[serde(with = "rfc3339::option")]
    pub checked_at: Option<OffsetDateTime>,
    /// The time of the last key check in which the key worked.
    #[serde(with = "rfc3339::option")]
    pub verified_at: Option<OffsetDateTime>,
    /// The base URL that the key is bound to.
    pub base_url: String,
    /// The headers that the key is bound to.
    pub headers: BTreeMap<String, String>,
    /// The subject of the caller that set the key; empty: not stored.
    pub set_by: String,
    /// The product's end user; empty: not given.
    pub on_behalf_of: String,
    /// `None`: not stored.
    #[serde(with = "rfc3339::option")]
    pub set_at: Option<OffsetDateTime>,
}

impl KeyView {
    /// The view of a stored key.
    pub fn new(provider: &ProviderName, key: &StoredKey, condemnation: &Condemnation) -> Self {
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
