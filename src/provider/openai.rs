//! OpenAI's wire protocol, as far as a test call needs it.
//!
//! Source: OpenAI's API reference, pages "List models" and "Create chat completion". The base URL ends in the
//! version (`https://api.openai.com/v1`), as the vendor's SDKs take it.
//!
//! Absent: the Responses API, which needs another scope than most restricted keys have, and streaming.

use serde_json::{Value, json};

use super::call::Call;

/// The least that every endpoint accepts; smaller caps are refused by some models.
const CAP: u32 = 16;

/// The name of the field that bounds the answer.
#[derive(Clone, Copy)]
pub(super) enum Cap {
    /// What OpenAI's newer models insist on.
    MaxCompletionTokens,
    /// What strict vendors with an older copy of the protocol insist on.
    MaxTokens,
}

pub(super) fn list() -> Call {
    Call {
        path: &["models"],
        query: Vec::new(),
        body: None,
    }
}

pub(super) fn generate(model: &str, cap: Cap) -> Call {
    let messages = json!([{ "role": "user", "content": "Say ok." }]);
    let body = match cap {
        Cap::MaxCompletionTokens => {
            json!({ "model": model, "messages": messages, "max_completion_tokens": CAP })
        }
        Cap::MaxTokens => json!({ "model": model, "messages": messages, "max_tokens": CAP }),
    };
    Call {
        path: &["chat", "completions"],
        query: Vec::new(),
        body: Some(body),
    }
}

/// Whether a successful answer is a generation and not a web page.
pub(super) fn is_generation(body: &Value) -> bool {
    body.get("choices").is_some_and(Value::is_array)
}
