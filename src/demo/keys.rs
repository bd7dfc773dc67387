//! The keys of the demo provider, as data (`keys.toml`).
//!
//! Not here: which keys are revoked just now (`accounts`).

use serde::Deserialize;

use crate::domain::{
    protocol::Protocol,
    verdict::{Badge, Verdict},
};

const DATA: &str = include_str!("keys.toml");

/// A key of the demo provider, and what byokd makes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoKey {
    /// The key itself.
    pub name: String,
    /// The account behind it, for people.
    pub account: String,
    /// What a key check ends with.
    pub verdict: Verdict,
    /// The reason with which SetKey refuses it; `None`: it is stored.
    pub refusal: Option<String>,
    /// The badge of the stored key. With a refusal: of one that `allow_unverified` stores; `None`: never stored.
    pub badge: Option<Badge>,
    /// The one vendor that knows it; `None`: both do.
    pub vendor: Option<Protocol>,
    #[serde(default)]
    pub(super) small_only: bool,
    #[serde(default)]
    pub(super) silent: bool,
    #[serde(default)]
    pub(super) revoked: bool,
    #[serde(default)]
    openai: ProbeRefusals,
    #[serde(default)]
    anthropic: ProbeRefusals,
}

/// What a vendor answers to the probes of one key; absent: a success.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeRefusals {
    pub(super) list: Option<VendorRefusal>,
    pub(super) generate: Option<VendorRefusal>,
}

/// A vendor's answer that is not a success, word for word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VendorRefusal {
    pub(super) status: u16,
    pub(super) body: String,
    /// In seconds.
    pub(super) retry_after: Option<u64>,
}

/// One refusal in the words of each vendor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VendorRefusals {
    openai: VendorRefusal,
    anthropic: VendorRefusal,
}

/// All of `keys.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTable {
    pub(super) unknown_key: VendorRefusals,
    pub(super) unknown_model: VendorRefusals,
    pub(super) key: Vec<DemoKey>,
}

impl KeyTable {
    pub(super) fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(DATA)
    }
}

impl DemoKey {
    pub(super) fn refusals(&self, protocol: Protocol) -> &ProbeRefusals {
        match protocol {
            Protocol::Anthropic => &self.anthropic,
            Protocol::Openai | Protocol::Local => &self.openai,
        }
    }

    pub(super) fn is_known_to(&self, protocol: Protocol) -> bool {
        self.vendor.is_none_or(|vendor| vendor == protocol)
    }
}

impl VendorRefusals {
    pub(super) fn of(&self, protocol: Protocol) -> &VendorRefusal {
        match protocol {
            Protocol::Anthropic => &self.anthropic,
            Protocol::Openai | Protocol::Local => &self.openai,
        }
    }
}

/// The keys of the demo provider.
///
/// # Errors
///
/// The table that is built in cannot be read.
pub fn demo_keys() -> Result<Vec<DemoKey>, toml::de::Error> {
    Ok(KeyTable::shipped()?.key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Deserialize)]
    struct Recorded {
        case: Vec<RecordedCase>,
    }

    #[derive(Deserialize)]
    struct RecordedCase {
        protocol: Protocol,
        probe: Vec<String>,
        status: u16,
        body: String,
        means: String,
    }

    #[test]
    fn every_refusal_is_a_recorded_answer_of_its_vendor() {
        let recorded: Recorded =
            toml::from_str(include_str!("../../tests/verdicts/cases.toml")).unwrap();
        let meaning = |protocol, probe: &str, refusal: &VendorRefusal| {
            let case = recorded.case.iter().find(|case| {
                case.protocol == protocol
                    && case.probe.iter().any(|own| own == probe)
                    && case.status == refusal.status
                    && case.body == refusal.body
            });
            case.map_or_else(
                || panic!("not recorded: {protocol:?} {probe} {refusal:?}"),
                |case| case.means.clone(),
            )
        };
        let table = KeyTable::shipped().unwrap();
        for protocol in [Protocol::Openai, Protocol::Anthropic] {
            let unknown = table.unknown_key.of(protocol);
            assert_eq!(meaning(protocol, "list", unknown), "INVALID");
            assert_eq!(meaning(protocol, "generate", unknown), "INVALID");
            let unknown = table.unknown_model.of(protocol);
            assert_eq!(meaning(protocol, "generate", unknown), "MODEL_UNAVAILABLE");
            for key in table.key.iter().filter(|key| key.is_known_to(protocol)) {
                let refusals = key.refusals(protocol);
                if let Some(refusal) = &refusals.generate {
                    let means = meaning(protocol, "generate", refusal);
                    assert_eq!(means, key.verdict.as_str(), "{}", key.name);
                }
                if let Some(refusal) = &refusals.list {
                    let means = meaning(protocol, "list", refusal);
                    let hidden = means == "LIST_HIDDEN" && key.verdict == Verdict::ValidListHidden;
                    assert!(hidden || means == key.verdict.as_str(), "{}", key.name);
                }
            }
        }
    }

    #[test]
    fn the_keys_show_every_verdict_that_a_call_can_end_with() {
        let keys = demo_keys().unwrap();
        let shown: BTreeSet<&str> = keys.iter().map(|key| key.verdict.as_str()).collect();
        let all = Verdict::ALL.map(Verdict::as_str);
        let missing: Vec<&str> = all
            .into_iter()
            .filter(|verdict| !shown.contains(verdict))
            .collect();
        assert_eq!(missing, ["WRONG_KIND"], "which no vendor is asked for");
    }
}
