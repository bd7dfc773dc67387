//! The output of a decision: key and payer are one answer.
//!
//! Invariants: a key leaves the decision only inside a [`Grant`], which also names the payer.

use std::collections::BTreeMap;

use crate::domain::{
    catalog::{Family, Price, Provider},
    workspace::StoredKey,
};

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
