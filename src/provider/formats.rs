//! Recognizes keys of other kinds and vendors by their form (`formats.toml`).
//!
//! Invariants: a hint only ever refuses, and only formats that are listed; an unknown prefix or length is a key like
//! any other, since vendors change their formats. Nothing is sent anywhere.
//!
//! Absent: what any key must look like (that is the secret's own form, the same for all providers).

use serde::Deserialize;

use super::Target;
use crate::domain::{protocol::Protocol, secret::ApiKey};

const DATA: &str = include_str!("formats.toml");

/// The key formats we know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Formats {
    vendor: Vec<Vendor>,
    format: Vec<Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendor {
    name: String,
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Format {
    prefix: Option<String>,
    contains: Option<String>,
    #[serde(default)]
    not_for_protocol: Vec<Protocol>,
    #[serde(default)]
    not_for_vendor: Vec<String>,
    #[serde(default)]
    but_for_vendor: Vec<String>,
}

impl Formats {
    /// The formats that byokd ships.
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }

    /// Whether the key is plainly not an API key of this provider.
    pub(super) fn foreign(&self, target: &Target<'_>, key: &ApiKey) -> bool {
        let vendors: Vec<&str> = self
            .vendor
            .iter()
            .filter(|vendor| vendor.is(target))
            .map(|vendor| vendor.name.as_str())
            .collect();
        let among = |names: &[String]| names.iter().any(|name| vendors.contains(&name.as_str()));
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

impl Vendor {
    fn is(&self, target: &Target<'_>) -> bool {
        let host = target.base_url.host_str().unwrap_or_default();
        let at = |own: &String| {
            host.strip_suffix(own.as_str())
                .is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        self.name == target.provider || self.hosts.iter().any(at)
    }
}

impl Format {
    fn fits(&self, key: &str) -> bool {
        self.prefix
            .as_deref()
            .is_some_and(|prefix| key.starts_with(prefix))
            || self
                .contains
                .as_deref()
                .is_some_and(|part| key.contains(part))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::*;

    fn foreign(provider: &str, protocol: Protocol, base_url: &str, key: &str) -> bool {
        let base_url = Url::parse(base_url).unwrap();
        let target = Target {
            provider,
            protocol,
            base_url: &base_url,
            headers: &BTreeMap::new(),
        };
        Formats::shipped()
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
