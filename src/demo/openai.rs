//! Successful answers in OpenAI's wire protocol, complete enough for its official SDKs.
//!
//! Not here: refusals (`keys.toml`), the Responses API, tools.

use serde_json::{Value, json};

/// The answer of `GET /models`.
pub fn list(models: &[String]) -> Value {
    let data: Vec<Value> = models
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "demo" }))
        .collect();
    json!({ "object": "list", "data": data })
}

/// The answer of `POST /chat/completions`.
pub fn completion(model: &str, text: &str) -> Value {
    json!({
        "id": "chatcmpl-demo",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": text, "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    })
}

/// The same as server-sent events.
pub fn stream(model: &str, text: &str) -> String {
    let event = |delta: Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-demo",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let words = text.split_inclusive(' ');
    let first = event(json!({ "role": "assistant", "content": "" }), None);
    std::iter::once(first)
        .chain(words.map(|word| event(json!({ "content": word }), None)))
        .chain([
            event(json!({}), Some("stop")),
            "data: [DONE]\n\n".to_owned(),
        ])
        .collect()
}
