//! The wire protocols of providers.
//!
//! Invariant: what a caller needs beside base URL and key follows from the protocol alone.
//!
//! Not here: the calls themselves. byokd makes only test calls (`provider`); the LLM calls are the callers'.

use serde::{Deserialize, Serialize};

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenAI's, which many other vendors speak too.
    Openai,
    /// Anthropic's.
    Anthropic,
    /// The product's own machines: no key, never metered.
    Local,
}

impl Protocol {
    /// The header that carries the key; empty for a local provider.
    pub fn auth_header(self) -> &'static str {
        match self {
            Self::Openai => "authorization",
            Self::Anthropic => "x-api-key",
            Self::Local => "",
        }
    }

    /// What stands before the key in that header.
    pub fn auth_prefix(self) -> &'static str {
        match self {
            Self::Openai => "Bearer ",
            Self::Anthropic | Self::Local => "",
        }
    }

    /// The header without which the provider refuses every call, if there is one (Anthropic API, "Versioning").
    pub fn fixed_header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Anthropic => Some(("anthropic-version", "2023-06-01")),
            Self::Openai | Self::Local => None,
        }
    }
}
