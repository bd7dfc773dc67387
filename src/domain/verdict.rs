//! The verdict of a key check.
//!
//! Invariants: a verdict is one of a closed list, each has one finding, and its name is part of the contract.
//!
//! Not here: how a verdict is reached (the test calls and their tables), and what several of them add
//! up to (the health of a stored key).

use serde::{Deserialize, Serialize};

pub use super::health::{Badge, Condemnation, Health};

/// The outcome of a test call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It lists models and generates.
    Valid,
    /// It generates, but what it may use cannot be listed.
    ValidListHidden,
    /// Recognised, but the account has no credit left or has reached a spending limit.
    NoFunds,
    /// Recognised, but too busy to answer.
    RateLimited,
    /// Recognised, but none of the models tried is open to it.
    ModelUnavailable,
    /// The provider does not know the key.
    Invalid,
    /// The key may not generate.
    InsufficientScope,
    /// The organisation or project of the key is wrong, or disabled.
    OrgProblem,
    /// Not an API key of this provider: an admin key, an OAuth token, another vendor's key.
    WrongKind,
    /// A data-residency key that works on another host of the provider.
    WrongHost,
    /// The provider refuses our address or region; this says nothing about the key.
    NetworkPolicy,
    /// The provider answered that it is down or overloaded.
    ProviderDown,
    /// No answer: name resolution, connection, TLS, time-out, or an address that may not be called.
    Unreachable,
    /// An answer that means nothing to us.
    Unexpected,
}

/// What kind of knowledge a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// The key works.
    Works,
    /// The provider knows the key, but it cannot be used fully just now.
    Recognised,
    /// The provider definitively refuses the key.
    Refused,
    /// Not an API key of this provider.
    WrongKind,
    /// The key belongs to another host of the provider.
    WrongHost,
    /// Nothing was learnt about the key.
    NothingLearnt,
}

impl Verdict {
    /// Every verdict, in the order of the type.
    pub const ALL: [Self; 14] = [
        Self::Valid,
        Self::ValidListHidden,
        Self::NoFunds,
        Self::RateLimited,
        Self::ModelUnavailable,
        Self::Invalid,
        Self::InsufficientScope,
        Self::OrgProblem,
        Self::WrongKind,
        Self::WrongHost,
        Self::NetworkPolicy,
        Self::ProviderDown,
        Self::Unreachable,
        Self::Unexpected,
    ];

    /// Its name in the contract, the store and the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::ValidListHidden => "VALID_LIST_HIDDEN",
            Self::NoFunds => "NO_FUNDS",
            Self::RateLimited => "RATE_LIMITED",
            Self::ModelUnavailable => "MODEL_UNAVAILABLE",
            Self::Invalid => "INVALID",
            Self::InsufficientScope => "INSUFFICIENT_SCOPE",
            Self::OrgProblem => "ORG_PROBLEM",
            Self::WrongKind => "WRONG_KIND",
            Self::WrongHost => "WRONG_HOST",
            Self::NetworkPolicy => "NETWORK_POLICY",
            Self::ProviderDown => "PROVIDER_DOWN",
            Self::Unreachable => "UNREACHABLE",
            Self::Unexpected => "UNEXPECTED",
        }
    }

    /// The verdict of that exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == name)
    }

    /// What kind of knowledge it is.
    pub fn finding(self) -> Finding {
        match self {
            Self::Valid | Self::ValidListHidden => Finding::Works,
            Self::NoFunds | Self::RateLimited | Self::ModelUnavailable => Finding::Recognised,
            Self::Invalid | Self::InsufficientScope | Self::OrgProblem => Finding::Refused,
            Self::WrongKind => Finding::WrongKind,
            Self::WrongHost => Finding::WrongHost,
            Self::NetworkPolicy | Self::ProviderDown | Self::Unreachable | Self::Unexpected => {
                Finding::NothingLearnt
            }
        }
    }

    /// One sentence for people: what it means and what to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Valid => "The key works.",
            Self::ValidListHidden => {
                "The key works, but its models cannot be listed; allow it to list models to see them here."
            }
            Self::NoFunds => {
                "The provider knows the key, but the account has no credit left or has reached a spending limit; \
                 add credit or raise the limit at the provider."
            }
            Self::RateLimited => {
                "The provider knows the key, but limits its rate just now; wait, or raise the limit at the provider."
            }
            Self::ModelUnavailable => {
                "The provider knows the key, but none of the models tried is open to it; \
                 allow the key or its project to use them at the provider."
            }
            Self::Invalid => {
                "The provider does not know this key; copy it again or make a new one at the provider."
            }
            Self::InsufficientScope => {
                "The key may not call models; give it the permission to list and to request models, \
                 or make a key without restrictions."
            }
            Self::OrgProblem => {
                "The key's organisation or project does not match or is disabled; \
                 give the right organisation and project, or ask the provider."
            }
            Self::WrongKind => {
                "This is not an API key for this provider but an admin key, a login token or another vendor's key; \
                 make an ordinary API key at this provider."
            }
            Self::WrongHost => {
                "The key is bound to another region's host of the provider; choose that host's base URL."
            }
            Self::NetworkPolicy => {
                "The provider refuses calls from this service's network or region, so the key could not be tested; \
                 allow this service's addresses at the provider."
            }
            Self::ProviderDown => {
                "The provider is down or overloaded, so the key could not be tested; try again later."
            }
            Self::Unreachable => {
                "The provider could not be reached, so the key could not be tested; try again later."
            }
            Self::Unexpected => {
                "The provider gave an answer that says nothing about the key; \
                 try again, and check the base URL if it stays so."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_are_those_of_serde() {
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
            assert_eq!(serde_json::json!(verdict), verdict.as_str());
        }
        assert_eq!(Verdict::parse("valid"), None);
    }

    #[test]
    fn every_verdict_says_what_to_do_in_one_sentence() {
        for verdict in Verdict::ALL {
            let advice = verdict.advice();
            assert!(
                advice.ends_with('.') && advice.matches(". ").count() == 0,
                "{verdict:?}: {advice}"
            );
        }
    }
}
