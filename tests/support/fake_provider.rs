//! A provider for tests: an HTTP server on a free port that speaks both protocols.
//!
//! At the start it accepts every key, lists no model and generates with any model. An answer scripted with `on_…` goes
//! before these, and before the key is read.
//!
//! The successful answers are those of `byokd::demo`. This server stays beside the demo's, because it does what a demo
//! must not do: it delays, breaks and floods its answers, and it keeps the requests for assertions.
//!
//! ```ignore
//! let provider = FakeProvider::start().await;
//! provider.openai_ok(&["gpt-4o-mini"]).set_valid_keys(&["sk-good"]);
//! provider.on_generate(Reply::openai_no_funds());
//! provider.on_list_once(Reply::hang());
//! assert_eq!(provider.requests()[0].path, "/v1/models");
//! ```
#![allow(
    dead_code,
    reason = "a vocabulary for all tests, not for those of today only"
)]

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request, Response},
};
use byokd::demo::{anthropic, openai};
use serde_json::Value;
use tokio::task::JoinHandle;
use url::Url;

use super::reply::Reply;

const LONGEST_REQUEST: usize = 1024 * 1024;

/// A running provider on `127.0.0.1`; it stops with the value.
pub(crate) struct FakeProvider {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// `Null` for a request without a body, or one that is not JSON.
    pub(crate) body: Value,
}

#[derive(Default)]
struct Script {
    models: Vec<String>,
    page_size: Option<usize>,
    only_listed: bool,
    valid_keys: Option<Vec<String>>,
    list: Answers,
    generate: Answers,
    generate_for: HashMap<String, Reply>,
    seen: Vec<Seen>,
}

#[derive(Default)]
struct Answers {
    once: VecDeque<Reply>,
    always: Option<Reply>,
}

impl FakeProvider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&script));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            script,
            server,
        }
    }

    /// The base URL of OpenAI's protocol, which ends in `/v1`.
    pub(crate) fn base_url(&self) -> Url {
        format!("http://{}/v1", self.address).parse().unwrap()
    }

    /// The base URL of Anthropic's protocol, without a path.
    pub(crate) fn anthropic_base_url(&self) -> Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lists these models and generates with no others, in either protocol; drops the scripted answers.
    pub(crate) fn models_ok(&self, ids: &[&str]) -> &Self {
        let mut script = self.script();
        script.models = ids.iter().map(|id| (*id).to_owned()).collect();
        script.only_listed = true;
        script.list = Answers::default();
        script.generate = Answers::default();
        script.generate_for.clear();
        drop(script);
        self
    }

    /// [`Self::models_ok`], in a test of one protocol.
    pub(crate) fn openai_ok(&self, ids: &[&str]) -> &Self {
        self.models_ok(ids)
    }

    /// [`Self::models_ok`], in a test of one protocol.
    pub(crate) fn anthropic_ok(&self, ids: &[&str]) -> &Self {
        self.models_ok(ids)
    }

    /// Limits the pages of Anthropic's list to this size, whatever the request says.
    pub(crate) fn page_size(&self, models: usize) -> &Self {
        self.script().page_size = Some(models);
        self
    }

    /// Refuses all other keys as unknown.
    pub(crate) fn set_valid_keys(&self, keys: &[&str]) -> &Self {
        self.script().valid_keys = Some(keys.iter().map(|key| (*key).to_owned()).collect());
        self
    }

    /// Scripts the answer to every list.
    pub(crate) fn on_list(&self, reply: Reply) -> &Self {
        self.script().list.always = Some(reply);
        self
    }

    /// Scripts the answer to the next list; several calls make a queue.
    pub(crate) fn on_list_once(&self, reply: Reply) -> &Self {
        self.script().list.once.push_back(reply);
        self
    }

    /// Scripts the answer to every generation.
    pub(crate) fn on_generate(&self, reply: Reply) -> &Self {
        self.script().generate.always = Some(reply);
        self
    }

    /// Scripts the answer to the next generation; several calls make a queue.
    pub(crate) fn on_generate_once(&self, reply: Reply) -> &Self {
        self.script().generate.once.push_back(reply);
        self
    }

    /// Scripts the answer to every generation with this model.
    pub(crate) fn on_generate_for(&self, model: &str, reply: Reply) -> &Self {
        self.script().generate_for.insert(model.to_owned(), reply);
        self
    }

    /// The requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    /// The models of the generations so far, in order.
    pub(crate) fn models_tried(&self) -> Vec<String> {
        let model = |seen: &Seen| {
            seen.body
                .get("model")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        self.script().seen.iter().filter_map(model).collect()
    }

    pub(crate) fn forget_requests(&self) {
        self.script().seen.clear();
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LONGEST_REQUEST)
        .await
        .unwrap_or_default();
    let seen = Seen {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let reply = script.lock().unwrap().reply(seen);
    reply.send().await
}

impl Script {
    fn reply(&mut self, seen: Seen) -> Reply {
        self.seen.push(seen.clone());
        let anthropic = seen.headers.contains_key("anthropic-version");
        if seen.path.ends_with("/models") {
            let scripted = self.list.next();
            scripted
                .or_else(|| self.refuse(&seen, anthropic))
                .unwrap_or_else(|| self.page(&seen, anthropic))
        } else if seen.path.ends_with("/chat/completions") || seen.path.ends_with("/messages") {
            let model = seen.body["model"].as_str().unwrap_or_default();
            let scripted = self
                .generate_for
                .get(model)
                .cloned()
                .or_else(|| self.generate.next());
            scripted
                .or_else(|| self.refuse(&seen, anthropic))
                .unwrap_or_else(|| self.word(model, anthropic))
        } else {
            Reply::text(404, "404 page not found")
        }
    }

    fn refuse(&self, seen: &Seen, anthropic: bool) -> Option<Reply> {
        let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
        let key = if anthropic {
            header("x-api-key")
        } else {
            header("authorization").and_then(|value| value.strip_prefix("Bearer "))
        };
        let key = key.unwrap_or_default();
        let valid = self.valid_keys.as_ref()?;
        if valid.iter().any(|own| own == key) {
            None
        } else if anthropic {
            Some(Reply::anthropic_error(
                401,
                "authentication_error",
                "invalid x-api-key",
            ))
        } else {
            Some(Reply::openai_wrong_key(key))
        }
    }

    fn page(&self, seen: &Seen, anthropic: bool) -> Reply {
        if !anthropic {
            return Reply::json(200, &openai::list(&self.models));
        }
        let asked = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(seen.query.as_bytes());
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let limit = asked("limit").and_then(|limit| limit.parse().ok());
        let limit = limit
            .unwrap_or(20)
            .min(self.page_size.unwrap_or(usize::MAX));
        let page = anthropic::list(&self.models, asked("after_id").as_deref(), limit);
        Reply::json(200, &page)
    }

    fn word(&self, model: &str, anthropic: bool) -> Reply {
        let known = !self.only_listed || self.models.iter().any(|id| id == model);
        match (known, anthropic) {
            (true, true) => Reply::json(200, &anthropic::message(model, "ok")),
            (true, false) => Reply::json(200, &openai::completion(model, "ok")),
            (false, true) => Reply::anthropic_error(404, "not_found_error", "model: not found"),
            (false, false) => Reply::openai_model_not_found(),
        }
    }
}

impl Answers {
    fn next(&mut self) -> Option<Reply> {
        self.once.pop_front().or_else(|| self.always.clone())
    }
}
