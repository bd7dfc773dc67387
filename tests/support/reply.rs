//! The answers of the fake provider: good, broken, or missing.
#![allow(
    dead_code,
    reason = "a vocabulary for all tests, not for those of today only"
)]

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode},
};
use byokd::demo::openai;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;

/// One scripted answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    kind: Kind,
    gate: Option<Arc<Semaphore>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Whole(Bytes),
    Hang,
    Drip,
    Cut(Bytes),
    Endless,
}

impl Reply {
    fn new(status: u16, kind: Kind) -> Self {
        Self {
            status,
            headers: Vec::new(),
            kind,
            gate: None,
        }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, Kind::Whole(Bytes::from(body.into())))
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::text(status, "<!doctype html><h1>Please log in</h1>")
            .header("content-type", "text/html")
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::text(307, "").header("location", location)
    }

    /// The same answer, sent when the gate has a permit.
    pub(crate) fn behind(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }

    /// Reads the request and never answers.
    pub(crate) fn hang() -> Self {
        Self::new(200, Kind::Hang)
    }

    /// Sends the headers at once, then a byte every 10 ms without end.
    pub(crate) fn drip() -> Self {
        Self::new(200, Kind::Drip)
    }

    /// Sends the beginning of a body and closes the connection.
    pub(crate) fn cut(status: u16) -> Self {
        Self::new(status, Kind::Cut(Bytes::from_static(b"{\"data\":[")))
    }

    /// A body without end, as fast as the client reads.
    pub(crate) fn endless(status: u16) -> Self {
        Self::new(status, Kind::Endless)
    }

    /// A well-formed list, padded to this many bytes.
    pub(crate) fn padded_list(bytes: usize) -> Self {
        Self::text(
            200,
            json!({ "data": [], "padding": "x".repeat(bytes) }).to_string(),
        )
    }

    /// A list in OpenAI's form.
    pub(crate) fn models(ids: &[&str]) -> Self {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        Self::json(200, &openai::list(&ids))
    }

    /// A list of `count` models named `model-0` and so on.
    pub(crate) fn many_models(count: usize) -> Self {
        let ids: Vec<String> = (0..count).map(|n| format!("model-{n}")).collect();
        Self::json(200, &openai::list(&ids))
    }

    /// A refusal in OpenAI's form.
    pub(crate) fn openai_error(status: u16, code: Option<&str>, message: &str) -> Self {
        let error = json!({ "message": message, "type": "invalid_request_error", "param": null, "code": code });
        Self::json(status, &json!({ "error": error }))
    }

    /// OpenAI's refusal of an unknown key, which echoes the end of the key.
    pub(crate) fn openai_wrong_key(key: &str) -> Self {
        let end = key.get(key.len().saturating_sub(4)..).unwrap_or_default();
        Self::openai_error(
            401,
            Some("invalid_api_key"),
            &format!("Incorrect API key provided: sk-***{end}."),
        )
    }

    pub(crate) fn openai_missing_scope(scope: &str) -> Self {
        let message = format!(
            "You have insufficient permissions for this operation. Missing scopes: {scope}."
        );
        Self::openai_error(401, None, &message)
    }

    pub(crate) fn openai_wrong_host(host: &str) -> Self {
        let message = format!("Incorrect regional hostname. Please make your request to {host}.");
        Self::openai_error(401, Some("incorrect_hostname"), &message)
    }

    pub(crate) fn openai_no_funds() -> Self {
        Self::openai_error(
            429,
            Some("credit_balance_exhausted"),
            "You exceeded your current quota.",
        )
    }

    pub(crate) fn openai_rate_limited(seconds: u64) -> Self {
        Self::openai_error(429, Some("rate_limit_exceeded"), "Rate limit reached.")
            .header("retry-after", &seconds.to_string())
    }

    pub(crate) fn openai_model_not_found() -> Self {
        Self::openai_error(404, Some("model_not_found"), "The model does not exist.")
    }

    /// A refusal in Anthropic's form.
    pub(crate) fn anthropic_error(status: u16, kind: &str, message: &str) -> Self {
        let error = json!({ "type": kind, "message": message });
        Self::json(
            status,
            &json!({ "type": "error", "error": error, "request_id": "req_0" }),
        )
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) async fn send(self) -> Response<Body> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let body = match self.kind {
            Kind::Whole(bytes) => Body::from(bytes),
            Kind::Hang => std::future::pending().await,
            Kind::Drip => drip(),
            Kind::Cut(start) => Body::from_stream(tokio_stream::iter([
                Ok(start),
                Err(io::Error::other("cut off")),
            ])),
            Kind::Endless => {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                Body::from_stream(tokio_stream::iter(std::iter::repeat_with(move || {
                    Ok::<_, Infallible>(chunk.clone())
                })))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }
}

fn drip() -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while sender
            .send(Ok::<_, Infallible>(Bytes::from_static(b" ")))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}
