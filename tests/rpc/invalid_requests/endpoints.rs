//! A key goes to exactly the hosts that the catalog allows, with the headers that it allows.

use std::collections::HashMap;

use byokd::contract::v1;
use tonic::Code;

use super::{is, repeats_nothing, standing, untouched};
use crate::support::{new_key, openai_key};

#[tokio::test]
async fn a_base_url_that_is_not_exactly_an_allowed_one_is_refused() {
    let byokd = standing().await;
    let own = byokd.provider.base_url();
    let port = byokd.provider.port();
    let rows = [
        "https://evil.example/v1".to_owned(),
        format!("{own}/"),
        own.as_str().to_uppercase(),
        format!("http://LOCALHOST:{port}/v1"),
        format!("http://user:pass@127.0.0.1:{port}/v1"),
        format!("http://127.0.0.1:{port}@evil.example/v1"),
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/v1?x=1"),
        format!(" {own}"),
        "not a url".to_owned(),
    ];
    for base_url in rows {
        let request = v1::SetKeyRequest {
            base_url: base_url.clone(),
            ..new_key("acme", "openai", &openai_key(2))
        };
        let status = byokd.admin().set_key(request).await.unwrap_err();
        is(
            &status,
            Code::InvalidArgument,
            "BASE_URL_NOT_ALLOWED",
            "base_url",
            &base_url,
        );
        repeats_nothing(&status, &openai_key(2));
        let request = v1::SetPlatformKeyRequest {
            provider: "openai".into(),
            api_key: openai_key(2),
            base_url: base_url.clone(),
            ..Default::default()
        };
        let status = byokd
            .operator()
            .set_platform_key(request)
            .await
            .unwrap_err();
        is(
            &status,
            Code::InvalidArgument,
            "BASE_URL_NOT_ALLOWED",
            "base_url",
            &base_url,
        );
        untouched(&byokd, &base_url).await;
    }
}

#[tokio::test]
async fn only_allowed_headers_with_printable_values_once_each() {
    let byokd = standing().await;
    let many: Vec<(String, String)> = (0..17).map(|n| (format!("X-{n}"), "v".into())).collect();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let rows = [
        ("17 headers", many),
        ("not allowed", pairs(&[("X-Forwarded-For", "10.0.0.1")])),
        ("the key's own", pairs(&[("Authorization", "Bearer other")])),
        ("no name", pairs(&[("", "v")])),
        ("CR LF", pairs(&[("OpenAI-Project", "proj\r\nX-Evil: 1")])),
        ("empty", pairs(&[("OpenAI-Project", "")])),
        ("not ASCII", pairs(&[("OpenAI-Project", "projé")])),
        (
            "257 characters",
            pairs(&[("OpenAI-Project", "p".repeat(257).as_str())]),
        ),
        (
            "two cases",
            pairs(&[("OpenAI-Project", "a"), ("openai-project", "b")]),
        ),
    ];
    for (what, headers) in rows {
        let request = v1::SetKeyRequest {
            headers: HashMap::from_iter(headers),
            ..new_key("acme", "openai", &openai_key(2))
        };
        let status = byokd.admin().set_key(request).await.unwrap_err();
        is(
            &status,
            Code::InvalidArgument,
            "FIELD_INVALID",
            "headers",
            what,
        );
        repeats_nothing(&status, &openai_key(2));
        untouched(&byokd, what).await;
    }
}
