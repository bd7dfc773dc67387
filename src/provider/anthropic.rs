//! The probes in Anthropic's wire protocol.
//!
//! Source: Anthropic's API reference, pages "List Models", "Create a Message" and "Versions". The base URL is the host
//! without a version (`https://api.anthropic.com`), as the vendor's SDKs take it.
//!
//! Not here: OAuth tokens, which have other terms of use, and token counting, which proves no credit.

use serde_json::{Value, json};

use super::client::ProbeRequest;

/// Tokens to generate. Some gateways refuse 1; 16 cost about 0.00001 USD.
const CAP: u32 = 16;
/// Models on a page: the vendor's maximum.
const PAGE: &str = "1000";

pub(super) fn list(after: Option<String>) -> ProbeRequest {
    let mut query = vec![("limit", PAGE.to_owned())];
    query.extend(after.map(|id| ("after_id", id)));
    ProbeRequest {
        path: &["v1", "models"],
        query,
        body: None,
    }
}

pub(super) fn generate(model: &str) -> ProbeRequest {
    let messages = json!([{ "role": "user", "content": "Say ok." }]);
    ProbeRequest {
        path: &["v1", "messages"],
        query: Vec::new(),
        body: Some(json!({ "model": model, "max_tokens": CAP, "messages": messages })),
    }
}

/// Whether a successful answer is a generation, and not a web page.
pub(super) fn is_generation(body: &Value) -> bool {
    body.get("content").is_some_and(Value::is_array)
}
