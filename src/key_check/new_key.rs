//! The fields of a new key.
//!
//! Invariants: a key is bound to exactly one of the provider's hosts and to allowed headers only; no header holds a key.

use std::collections::BTreeMap;

use crate::{
    change::ChangeMeta,
    domain::{
        catalog::Provider,
        error::{Error, Reason},
        names::ProviderName,
        secret::{ApiKey, looks_like_key},
        workspace::Binding,
    },
};

const MAX_HEADER_VALUE: usize = 256;

/// The fields that `SetKey` and `SetPlatformKey` share.
#[derive(Debug)]
pub struct NewKey {
    /// The provider.
    pub provider: ProviderName,
    /// The key.
    pub api_key: ApiKey,
    /// One of the provider's hosts; empty: the first.
    pub base_url: String,
    /// Header values by name.
    pub headers: BTreeMap<String, String>,
    /// Check the key without storing it.
    pub validate_only: bool,
    /// Store the key also if its check gave no verdict.
    pub allow_unverified: bool,
    /// The fields that every change has.
    pub meta: ChangeMeta,
}

impl NewKey {
    /// The fields that a retry must repeat.
    pub fn fields(&self) -> Vec<&str> {
        let flag = |set| if set { "1" } else { "0" };
        let mut fields = vec![
            self.provider.as_str(),
            self.api_key.expose(),
            &self.base_url,
            flag(self.validate_only),
            flag(self.allow_unverified),
        ];
        for (name, value) in &self.headers {
            fields.extend([name.as_str(), value]);
        }
        fields
    }

    /// The base URL and headers to bind the key to.
    pub(super) fn binding(&self, provider: &Provider) -> Result<Binding, Error> {
        let base_url = match self.base_url.as_str() {
            "" => provider.hosts.first(),
            named => provider.hosts.iter().find(|host| *host == named),
        };
        let base_url = base_url.ok_or_else(|| {
            let hosts = provider.hosts.join(", ");
            let message = format!("base_url must be exactly one of: {hosts}");
            Error::new(Reason::BaseUrlNotAllowed, message).in_field("base_url")
        })?;
        let mut headers = BTreeMap::new();
        for (name, value) in &self.headers {
            let name = provider
                .headers
                .iter()
                .find(|allowed| allowed.eq_ignore_ascii_case(name))
                .ok_or_else(|| headers_field("may only name headers that the catalog allows"))?;
            let in_range = (1..=MAX_HEADER_VALUE).contains(&value.len());
            if !in_range || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(headers_field(
                    "must have values of 1 to 256 printable ASCII characters",
                ));
            }
            if looks_like_key(value) {
                return Err(headers_field(
                    "must not hold an API key; send the key in `api_key` alone",
                ));
            }
            if headers.insert(name.clone(), value.clone()).is_some() {
                return Err(headers_field("may name a header only once"));
            }
        }
        Ok(Binding {
            base_url: base_url.clone(),
            headers,
        })
    }
}

fn headers_field(rule: &'static str) -> Error {
    Error::field("headers", rule)
}
