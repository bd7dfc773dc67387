//! The demo provider's HTTP: each provider of the catalog below its own path, and a switch that revokes keys.
//!
//! Invariants: every answer follows from the key, the model and the state of the switch; no request is kept.
//!
//! Not here: the bodies (`keys.toml`, `openai`, `anthropic`).

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use time::Date;

use super::{
    accounts::Accounts,
    anthropic,
    keys::{DemoKey, ProbeRefusals, VendorRefusal},
    openai,
};
use crate::domain::{
    catalog::{Catalog, Provider},
    protocol::Protocol,
};

/// Models on a page of Anthropic's list that names no limit.
const PAGE: usize = 20;

/// One provider of the catalog.
struct DemoVendor {
    protocol: Protocol,
    /// Ids and aliases that it lists.
    models: Vec<String>,
    /// The only one of them for some keys.
    smallest: Vec<String>,
    accounts: Arc<Accounts>,
}

/// All providers of the catalog, and the switch.
pub(super) fn router(catalog: &Catalog, accounts: &Arc<Accounts>, today: Date) -> Router {
    let switch = |revoked: bool| {
        post(
            async move |State(accounts): State<Arc<Accounts>>, Path(key): Path<String>| {
                switch(&accounts, &key, revoked)
            },
        )
    };
    let router = Router::new()
        .route("/keys/{key}/revoke", switch(true))
        .route("/keys/{key}/restore", switch(false))
        .with_state(Arc::clone(accounts));
    catalog.providers.values().fold(router, |router, provider| {
        let vendor = DemoVendor::new(catalog, provider, Arc::clone(accounts), today);
        router.nest(&format!("/{}/v1", provider.name), vendor.routes())
    })
}

fn switch(accounts: &Accounts, key: &str, revoked: bool) -> (StatusCode, String) {
    match (accounts.set_revoked(key, revoked), revoked) {
        (false, _) => (StatusCode::NOT_FOUND, format!("no key {key}\n")),
        (true, true) => (StatusCode::OK, format!("{key} is revoked\n")),
        (true, false) => (StatusCode::OK, format!("{key} works again\n")),
    }
}

impl DemoVendor {
    fn new(catalog: &Catalog, provider: &Provider, accounts: Arc<Accounts>, today: Date) -> Self {
        let mut models: Vec<String> = catalog.sold(provider).into_iter().collect();
        models.sort();
        let candidates = catalog.candidates(provider, today);
        Self {
            protocol: provider.protocol,
            models,
            smallest: candidates.into_iter().take(1).collect(),
            accounts,
        }
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/models", get(list))
            .route("/chat/completions", post(generate))
            .route("/messages", post(generate))
            .with_state(Arc::new(self))
    }

    /// The models that the request's key may use, unless the key's account refuses this probe.
    async fn admit(
        &self,
        headers: &HeaderMap,
        probe: fn(&ProbeRefusals) -> Option<&VendorRefusal>,
    ) -> Result<&[String], &VendorRefusal> {
        if self.protocol == Protocol::Local {
            return Ok(&self.models);
        }
        let key = self.presented_key(headers).unwrap_or_default();
        let account: &DemoKey = self.accounts.find(self.protocol, key)?;
        if account.silent {
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = probe(account.refusals(self.protocol)) {
            return Err(refusal);
        }
        Ok(if account.small_only {
            &self.smallest
        } else {
            &self.models
        })
    }

    /// The key in the protocol's own header, or as a bearer token: Anthropic's newer SDKs send it so.
    fn presented_key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        [
            (self.protocol.auth_header(), self.protocol.auth_prefix()),
            ("authorization", "Bearer "),
        ]
        .into_iter()
        .find_map(|(name, prefix)| headers.get(name)?.to_str().ok()?.strip_prefix(prefix))
    }

    fn list(&self, models: &[String], query: &str) -> Value {
        if self.protocol != Protocol::Anthropic {
            return openai::list(models);
        }
        let field = |name: &str| {
            let mut fields = url::form_urlencoded::parse(query.as_bytes());
            fields.find_map(|(field, value)| (field == name).then_some(value))
        };
        let limit = field("limit").and_then(|limit| limit.parse().ok());
        anthropic::list(models, field("after_id").as_deref(), limit.unwrap_or(PAGE))
    }
}

async fn list(State(vendor): State<Arc<DemoVendor>>, headers: HeaderMap, uri: Uri) -> Response {
    match vendor
        .admit(&headers, |refusals| refusals.list.as_ref())
        .await
    {
        Ok(models) => json(vendor.list(models, uri.query().unwrap_or_default())),
        Err(refusal) => refusal.into_response(),
    }
}

async fn generate(
    State(vendor): State<Arc<DemoVendor>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let models = match vendor
        .admit(&headers, |refusals| refusals.generate.as_ref())
        .await
    {
        Ok(models) => models,
        Err(refusal) => return refusal.into_response(),
    };
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = request.get("model").and_then(Value::as_str);
    let Some(model) = model.and_then(|model| models.iter().find(|id| *id == model)) else {
        let refusal = vendor.accounts.unknown_model.of(vendor.protocol);
        return refusal.into_response();
    };
    let text = format!("Hello from {model} of byokd's demo provider.");
    let streamed = request.get("stream").and_then(Value::as_bool) == Some(true);
    match (vendor.protocol, streamed) {
        (Protocol::Anthropic, false) => json(anthropic::message(model, &text)),
        (Protocol::Anthropic, true) => events(anthropic::stream(model, &text)),
        (Protocol::Openai | Protocol::Local, false) => json(openai::completion(model, &text)),
        (Protocol::Openai | Protocol::Local, true) => events(openai::stream(model, &text)),
    }
}

fn json(body: Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

fn events(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

impl IntoResponse for &VendorRefusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self
            .retry_after
            .map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let json = [(header::CONTENT_TYPE, "application/json")];
        match retry_after {
            Some(retry_after) => (status, json, retry_after, self.body.clone()).into_response(),
            None => (status, json, self.body.clone()).into_response(),
        }
    }
}
