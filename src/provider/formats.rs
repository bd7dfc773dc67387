//! Key formats of other vendors (`formats.toml`): keys that a provider is not asked about.
//!
//! Invariants: a format only ever refuses a key, and only if it is listed; an unknown prefix or length is admitted, since
//! vendors change their formats. No request is sent.
//!
//! Not here: the form that every key must have (`domain::secret`).

use serde::Deserialize;

use super::target::ProbeTarget;
use crate::domain::{protocol::Protocol, secret::ApiKey};

const DATA: &str = include_str!("formats.toml");

/// The known key formats.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFormats {
    vendor: Vec<KeyVendor>,
    format: Vec<KeyFormat>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyVendor {
    name: String,
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFormat {
    prefix: Option<String>,
    contains: Option<String>,
    #[serde(default)]
    not_for_protocol: Vec<Protocol>,
    #[serde(default)]
    not_for_vendor: Vec<String>,
    #[serde(default)]
    but_for_vendor: Vec<String>,
}

impl KeyFormats {
    /// The built-in table.
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }

    /// Whether the key has the format of an admin key, an OAuth token or another vendor's key.
    pub(super) fn foreign(&self, target: &ProbeTarget<'_>, key: &ApiKey) -> bool {
        let among = |names: &[String]| {
            let mut vendors = self.vendor.iter().filter(|vendor| vendor.serves(target));
            vendors.any(|vendor| names.contains(&vendor.name))
        };
        self.format
            .iter()
            .filter(|format| format.fits(key.expose()))
            .any(|format| {
                let refused = format.not_for_protocol.contains(&target.protocol)
                    || among(&format.not_for_vendor);
                refused && !among(&format.but_for_vendor)
            })
    }
}

impl KeyVendor {
    fn serves(&self, target: &ProbeTarget<'_>) -> bool {
        let host = target.base_url.host_str().unwrap_or_default();
        let at = |own: &String| {
            host.strip_suffix(own.as_str())
                .is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        self.name == target.provider || self.hosts.iter().any(at)
    }
}

impl KeyFormat {
    fn fits(&self, key: &str) -> bool {
        let begins = |prefix: &String| key.starts_with(prefix.as_str());
        let holds = |part: &String| key.contains(part.as_str());
        self.prefix.as_ref().is_some_and(begins) || self.contains.as_ref().is_some_and(holds)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::*;

    fn foreign(provider: &str, protocol: Protocol, base_url: &str, key: &str) -> bool {
        let base_url = Url::parse(base_url).unwrap();
        let target = ProbeTarget {
            provider,
            protocol,
            base_url: &base_url,
            headers: &BTreeMap::new(),
        };
        KeyFormats::shipped()
            .unwrap()
            .foreign(&target, &ApiKey::parse(key.to_owned()).unwrap())
    }

    #[test]
    fn every_format_is_refused_where_it_is_foreign_and_nowhere_else() {
        // key, then whether it is foreign to: OpenAI, Anthropic, another vendor of OpenAI's protocol
        let table = [
            ("sk-0123456789abcdef0123456789abcdef", [false, false, false]),
            (
                "sk-some-form-of-next-year-0123456789",
                [false, false, false],
            ),
            (
                "sk-01234567890123456789T3BlbkFJ01234567890123456789",
                [false, true, false],
            ),
            ("sk-proj-0123456789", [false, true, false]),
            ("sk-svcacct-0123456789", [false, true, false]),
            ("sk-admin-0123456789", [true, true, false]),
            ("sk-ant-api03-0123456789AA", [true, false, true]),
            ("sk-ant-admin01-0123456789AA", [true, true, true]),
            ("sk-ant-oat01-0123456789", [true, true, true]),
            ("sk-ant-ort01-0123456789", [true, true, true]),
            ("sk-or-v1-0123456789", [true, true, false]),
            ("gsk_0123456789", [true, true, false]),
            ("xai-0123456789", [true, true, false]),
            ("pplx-0123456789", [true, true, false]),
            ("AIza0123456789", [true, true, false]),
        ];
        for (key, expected) in table {
            let found = [
                foreign(
                    "openai",
                    Protocol::Openai,
                    "https://gateway.example/v1",
                    key,
                ),
                foreign(
                    "anthropic",
                    Protocol::Anthropic,
                    "https://gateway.example",
                    key,
                ),
                foreign(
                    "groq",
                    Protocol::Openai,
                    "https://api.groq.com/openai/v1",
                    key,
                ),
            ];
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn a_vendor_is_known_by_its_hosts_too() {
        let openai = |host: &str| foreign("eu-models", Protocol::Openai, host, "gsk_0123456789");
        assert!(openai("https://eu.api.openai.com/v1"));
        assert!(openai("https://api.openai.com/v1"));
        assert!(!openai("https://notapi.openai.com/v1"));
        assert!(!openai("https://api.openai.com.example/v1"));
        let compatible = "https://api.anthropic.com/v1";
        assert!(!foreign(
            "claude-compat",
            Protocol::Openai,
            compatible,
            "sk-ant-api03-0123456789AA"
        ));
    }
}
