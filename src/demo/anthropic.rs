//! Successful answers in Anthropic's wire protocol, complete enough for its official SDKs.
//!
//! Not here: refusals (`keys.toml`), token counting, tools.

use serde_json::{Value, json};

/// One page of `GET /v1/models`: at most `limit` models after the id `after`.
pub fn list(models: &[String], after: Option<&str>, limit: usize) -> Value {
    let start = after
        .and_then(|after| models.iter().position(|id| id == after))
        .map_or(0, |position| position.saturating_add(1));
    let rest = models.iter().skip(start);
    let page: Vec<&String> = rest.clone().take(limit).collect();
    let data: Vec<Value> = page
        .iter()
        .map(|id| json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" }))
        .collect();
    let has_more = rest.count() > page.len();
    json!({ "data": data, "first_id": page.first(), "last_id": page.last(), "has_more": has_more })
}

/// The answer of `POST /v1/messages`.
pub fn message(model: &str, text: &str) -> Value {
    json!({
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{ "type": "text", "text": text }],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": { "input_tokens": 1, "output_tokens": 1 },
    })
}

/// The same as server-sent events.
pub fn stream(model: &str, text: &str) -> String {
    let event = |name: &str, fields: Value| {
        let mut data = fields;
        if let Some(data) = data.as_object_mut() {
            data.insert("type".to_owned(), json!(name));
        }
        format!("event: {name}\ndata: {data}\n\n")
    };
    let mut start = message(model, "");
    if let Some(start) = start.as_object_mut() {
        start.insert("content".to_owned(), json!([]));
        start.insert("stop_reason".to_owned(), Value::Null);
    }
    let opening = [
        event("message_start", json!({ "message": start })),
        event(
            "content_block_start",
            json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
    ];
    let words = text.split_inclusive(' ').map(|word| {
        let delta = json!({ "type": "text_delta", "text": word });
        event("content_block_delta", json!({ "index": 0, "delta": delta }))
    });
    let stop = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let closing = [
        event("content_block_stop", json!({ "index": 0 })),
        event(
            "message_delta",
            json!({ "delta": stop, "usage": { "output_tokens": 1 } }),
        ),
        event("message_stop", json!({})),
    ];
    opening.into_iter().chain(words).chain(closing).collect()
}
