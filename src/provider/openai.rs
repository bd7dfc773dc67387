//! The probes in OpenAI's wire protocol.
//!
//! Source: OpenAI's API reference, pages "List models" and "Create chat completion". The base URL ends in the version
//! (`https://api.openai.com/v1`), as the vendor's SDKs take it.
//!
//! Not here: the Responses API, which needs a scope that most restricted keys lack, and streaming.

use serde_json::{Value, json};

use super::client::ProbeRequest;

/// Tokens to generate: the least that every endpoint accepts.
const CAP: u32 = 16;

/// The field that bounds the answer.
#[derive(Clone, Copy)]
pub(super) enum TokenCap {
    /// OpenAI's newer models require it.
    MaxCompletionTokens,
    /// Strict vendors with an older copy of the protocol require it.
    MaxTokens,
}

pub(super) fn list() -> ProbeRequest {
    ProbeRequest {
        path: &["models"],
        query: Vec::new(),
        body: None,
    }
}

pub(super) fn generate(model: &str, cap: TokenCap) -> ProbeRequest {
    let cap = match cap {
        TokenCap::MaxCompletionTokens => "max_completion_tokens",
        TokenCap::MaxTokens => "max_tokens",
    };
    let messages = json!([{ "role": "user", "content": "Say ok." }]);
    ProbeRequest {
        path: &["chat", "completions"],
        query: Vec::new(),
        body: Some(json!({ "model": model, "messages": messages, cap: CAP })),
    }
}

/// Whether a successful answer is a generation, and not a web page.
pub(super) fn is_generation(body: &Value) -> bool {
    body.get("choices").is_some_and(Value::is_array)
}
