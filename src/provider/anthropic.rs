//! Anthropic's wire protocol, as far as a test call needs it.
//!
//! Source: Anthropic's API reference, pages "List Models", "Create a Message" and "Versions". The base URL is the
//! host without a version (`https://api.anthropic.com`), as the vendor's SDKs take it.
//!
//! Absent: OAuth tokens, which other terms apply to, and token counting, which proves no credit.

use serde_json::{Value, json};

use super::call::Call;

/// Above 1 for the sake of gateways that refuse less; it costs about 0.00001 USD.
const CAP: u32 = 16;
/// The most that one page can hold.
const PAGE: &str = "1000";
/// Pages of one list; beyond that it counts as hidden.
pub(super) const MOST_PAGES: usize = 50;

pub(super) fn list(after: Option<String>) -> Call {
    let mut query = vec![("limit", PAGE.to_owned())];
    query.extend(after.map(|id| ("after_id", id)));
    Call {
        path: &["v1", "models"],
        query,
        body: None,
    }
}

pub(super) fn generate(model: &str) -> Call {
    let messages = json!([{ "role": "user", "content": "Say ok." }]);
    let body = json!({ "model": model, "max_tokens": CAP, "messages": messages });
    Call {
        path: &["v1", "messages"],
        query: Vec::new(),
        body: Some(body),
    }
}

/// Whether a successful answer is a generation and not a web page.
pub(super) fn is_generation(body: &Value) -> bool {
    body.get("content").is_some_and(Value::is_array)
}
