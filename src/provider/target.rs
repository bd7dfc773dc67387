//! The target of a key check: the host, and the headers of each probe.
//!
//! Invariants: the protocol's own headers win over the catalog's and the key's; a header that changes where a request
//! goes or ends is never sent; the header with the key is marked sensitive.
//!
//! Not here: which hosts and headers a key may have (`ops`, by the catalog).

use std::collections::BTreeMap;

use reqwest::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use url::Url;
use zeroize::Zeroizing;

use crate::domain::{protocol::Protocol, secret::ApiKey};

/// Where a key is checked.
#[derive(Clone, Copy, Debug)]
pub struct ProbeTarget<'a> {
    /// The provider's name in the catalog, for the log.
    pub provider: &'a str,
    /// [`Protocol::Local`] has no keys; no probe is sent.
    pub protocol: Protocol,
    /// The base URL in the form that the vendor's SDK takes.
    pub base_url: &'a Url,
    /// The fixed headers of the provider and those of the key (organization, project).
    pub headers: &'a BTreeMap<String, String>,
}

impl ProbeTarget<'_> {
    /// The headers of a probe; `None` if one cannot be sent.
    pub(super) fn headers(&self, key: &ApiKey) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name).ok()?;
            if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
                return None;
            }
            headers.insert(name, HeaderValue::from_str(value).ok()?);
        }
        let protocol = self.protocol;
        if protocol == Protocol::Local {
            return None;
        }
        let secret = Zeroizing::new(format!("{}{}", protocol.auth_prefix(), key.expose()));
        let mut value = HeaderValue::from_str(&secret).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(protocol.auth_header()), value);
        if let Some((name, value)) = protocol.fixed_header() {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        Some(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_the_key_does_not_print_it() {
        let key = ApiKey::parse("sk-0123456789abcdefWXYZ".to_owned()).unwrap();
        let base_url = Url::parse("https://api.example/v1").unwrap();
        for protocol in [Protocol::Openai, Protocol::Anthropic] {
            let target = ProbeTarget {
                provider: "acme",
                protocol,
                base_url: &base_url,
                headers: &BTreeMap::new(),
            };
            let printed = format!("{:?}", target.headers(&key).unwrap());
            assert!(
                printed.contains("Sensitive") && !printed.contains("WXYZ"),
                "{printed}"
            );
        }
    }
}
