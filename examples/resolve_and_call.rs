//! Asks byokd whose key to use, and makes one LLM call with it.
//!
//! ```text
//! export BYOKD_TOKEN=$(byokd token --role resolver --workspace acme)
//! cargo run --example resolve_and_call -- http://127.0.0.1:50051 acme gpt-4o-mini
//! ```
//!
//! The model is a family of the catalog, an alias or a concrete id; with "" byokd chooses the model. A service caches the
//! answer for `lease.ttl` from the sending of the request; `resolve_and_call.py` shows the cache.
#![allow(clippy::print_stdout, reason = "an example that is run by hand")]

use std::{env, error::Error, time::Duration};

use byokd::contract::v1::{
    BillingMode, ResolveCredentialsRequest, ResolveCredentialsResponse,
    key_service_client::KeyServiceClient,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, workspace, model] = arguments.as_slice() else {
        return Err(
            "usage: resolve_and_call SERVER WORKSPACE MODEL, with a token in BYOKD_TOKEN".into(),
        );
    };
    let channel = Endpoint::new(server.clone())?
        .timeout(Duration::from_secs(5))
        .connect()
        .await?;
    let resolved = resolve(channel, workspace, model).await?;
    let payer = resolved
        .billing
        .as_ref()
        .map_or(BillingMode::Unspecified, |billing| billing.mode());
    println!(
        "{} {}, {}, resolution {}",
        resolved.provider,
        resolved.model,
        payer.as_str_name(),
        resolved.resolution_id
    );
    println!("{}", call(&resolved, "Say hello.").await?);
    Ok(())
}

/// Resolves the key, the model, the endpoint and the payer.
async fn resolve(
    channel: Channel,
    workspace: &str,
    model: &str,
) -> Result<ResolveCredentialsResponse> {
    let mut request = Request::new(ResolveCredentialsRequest {
        workspace_id: workspace.to_owned(),
        model: model.to_owned(),
        ..Default::default()
    });
    let token = env::var("BYOKD_TOKEN").map_err(
        |_| "BYOKD_TOKEN is not set; mint one with: byokd token --role resolver --workspace WORKSPACE",
    )?;
    let mut bearer: MetadataValue<_> = format!("Bearer {token}").parse()?;
    bearer.set_sensitive(true);
    request.metadata_mut().insert("authorization", bearer);
    let answer = KeyServiceClient::new(channel)
        .resolve_credentials(request)
        .await;
    let resolved = answer
        .map_err(|status| format!("byokd refused: {:?}: {}", status.code(), status.message()))?
        .into_inner();
    Ok(resolved)
}

/// Makes one LLM call with the resolved host, headers, key and model.
async fn call(resolved: &ResolveCredentialsResponse, prompt: &str) -> Result<String> {
    let endpoint = resolved.endpoint.as_ref().ok_or("no endpoint")?;
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    // A local model needs no key.
    if let Some(credential) = &resolved.credential {
        let mut key =
            HeaderValue::try_from(format!("{}{}", endpoint.auth_prefix, credential.api_key))?;
        key.set_sensitive(true);
        headers.insert(HeaderName::try_from(&endpoint.auth_header)?, key);
    }
    let messages = json!([{ "role": "user", "content": prompt }]);
    let (path, body, text) = if resolved.provider == "anthropic" {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        let body = json!({ "model": resolved.model, "max_tokens": 256, "messages": messages });
        ("/v1/messages", body, "/content/0/text")
    } else {
        let body = json!({ "model": resolved.model, "messages": messages });
        ("/chat/completions", body, "/choices/0/message/content")
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()?;
    let answer: Value = client
        .post(format!("{}{path}", endpoint.base_url))
        .headers(headers)
        .json(&body)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let text = answer.pointer(text).and_then(Value::as_str);
    Ok(text
        .ok_or("the provider's answer holds no text")?
        .to_owned())
}
