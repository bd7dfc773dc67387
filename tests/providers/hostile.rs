//! A provider that hangs, drips, redirects, floods, breaks off, or repeats the key: SetKey is all or nothing,
//! and leaks nothing.

use std::time::Duration;

use byokd::contract::v1::{self, Badge, Verdict};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Byokd, FakeProvider, Reply, new_key, openai_key, reason};

/// A byokd where acme has a key in use, at revision 2.
async fn standing() -> Byokd {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd.provider.forget_requests();
    byokd
}

/// The same, but a key without a host goes to `localhost` first: a provider can only name a host with a dot
/// in it.
async fn two_hosts() -> (Byokd, String, String) {
    let byokd = standing().await;
    let own = byokd.provider.base_url().to_string();
    let local = format!("http://localhost:{}/v1", byokd.provider.port());
    let file = byokd.config.catalog.file.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    let turned = text.replace(
        &format!(r#"["{own}", "{local}"]"#),
        &format!(r#"["{local}", "{own}"]"#),
    );
    assert_ne!(text, turned);
    std::fs::write(&file, turned).unwrap();
    (byokd.restart().await, local, own)
}

async fn refused(byokd: &Byokd, request: v1::SetKeyRequest, why: &str, verdict: &str) -> Status {
    let status = byokd.admin().set_key(request).await.unwrap_err();
    assert_eq!(reason(&status), why, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["verdict"], verdict, "{status:?}");
    assert_eq!(byokd.workspace("acme").await.revision, 2);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    status
}

fn another() -> v1::SetKeyRequest {
    new_key("acme", "openai", &openai_key(2))
}

#[tokio::test]
async fn the_deadline_ends_a_slow_provider() {
    let byokd = standing().await;
    let byokd = byokd
        .restart_with(|config| config.checks.deadline_ms = 300)
        .await;
    for reply in [Reply::hang(), Reply::drip()] {
        byokd
            .provider
            .models_ok(&["small-2030"])
            .on_list(reply.clone());
        refused(&byokd, another(), "PROVIDER_UNREACHABLE", "UNREACHABLE").await;
        byokd
            .provider
            .on_list(Reply::models(&["small-2030"]))
            .on_generate(reply);
        refused(&byokd, another(), "PROVIDER_UNREACHABLE", "UNREACHABLE").await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (byokd, elsewhere) = (standing().await, FakeProvider::start().await);
    let reply = Reply::redirect(elsewhere.base_url().as_str());
    byokd.provider.on_list(reply.clone());
    refused(&byokd, another(), "PROVIDER_UNREACHABLE", "UNEXPECTED").await;
    byokd.provider.models_ok(&["small-2030"]).on_generate(reply);
    refused(&byokd, another(), "PROVIDER_UNREACHABLE", "UNEXPECTED").await;
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn broken_and_boundless_answers_store_nothing() {
    let byokd = standing().await;
    let rows = [
        (Reply::html(200), "UNEXPECTED"),
        (Reply::text(200, ""), "UNEXPECTED"),
        (Reply::text(500, "oops"), "PROVIDER_DOWN"),
        (Reply::padded_list(10 * 1024 * 1024), "UNEXPECTED"),
        (Reply::endless(200), "UNEXPECTED"),
        (Reply::endless(401), "UNEXPECTED"),
        (Reply::cut(200), "UNREACHABLE"),
    ];
    for (reply, verdict) in rows {
        byokd.provider.on_list(reply);
        let status = refused(&byokd, another(), "PROVIDER_UNREACHABLE", verdict).await;
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn a_list_of_50_000_models_counts_as_hidden() {
    let byokd = standing().await;
    byokd.provider.on_list(Reply::many_models(50_000));
    let set = byokd.set_key("acme", "openai", &openai_key(2)).await;
    assert_eq!(set.key.unwrap().verdict(), Verdict::ValidListHidden);
    assert_eq!(
        byokd.resolve("acme", "large", "").await.unwrap().model,
        "large-2030"
    );
}

#[tokio::test]
async fn the_retry_delay_is_passed_on() {
    let byokd = standing().await;
    byokd
        .provider
        .on_list(Reply::text(503, "").header("retry-after", "7"));
    let status = refused(&byokd, another(), "PROVIDER_UNREACHABLE", "PROVIDER_DOWN").await;
    let retry = status.get_details_retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_key_that_the_provider_repeats_does_not_leak() {
    let byokd = standing().await;
    let key = openai_key(2);
    let echo = format!("Incorrect API key provided: {key}. CANARY");
    for (reply, verdict) in [
        (
            Reply::openai_error(401, Some("invalid_api_key"), &echo),
            "INVALID",
        ),
        (
            Reply::openai_error(401, Some("mismatched_project"), &echo),
            "ORG_PROBLEM",
        ),
        (Reply::openai_error(401, Some(&key), &echo), "INVALID"),
        (Reply::openai_error(500, Some(&key), &echo), "PROVIDER_DOWN"),
        (Reply::text(418, echo.clone()), "UNEXPECTED"),
        (Reply::openai_wrong_host(&key), "WRONG_HOST"),
    ] {
        byokd.provider.on_list(reply);
        let status = byokd.admin().set_key(another()).await.unwrap_err();
        let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(shown.contains(verdict), "{shown}");
        assert!(!shown.contains("CANARY"), "{shown}");
        for part in key.as_bytes().windows(6) {
            let part = String::from_utf8_lossy(part);
            assert!(!shown.contains(&*part), "{part} in {shown}");
        }
    }
}

#[tokio::test]
async fn a_data_residency_key_is_tested_once_more_on_its_host() {
    let (byokd, _, own) = two_hosts().await;
    byokd
        .provider
        .on_list_once(Reply::openai_wrong_host("127.0.0.1"));
    let set = byokd.set_key("acme", "openai", &openai_key(2)).await;
    let key = set.key.unwrap();
    assert_eq!(
        (key.base_url.as_str(), key.badge()),
        (own.as_str(), Badge::Connected)
    );
    let resolved = byokd.resolve("acme", "", "").await.unwrap();
    assert_eq!(resolved.endpoint.unwrap().base_url, own);
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(2));
    let hosts: Vec<String> = byokd
        .provider
        .requests()
        .iter()
        .map(|seen| seen.headers["host"].to_str().unwrap().to_owned())
        .collect();
    let (first, second) = (
        format!("localhost:{}", byokd.provider.port()),
        format!("127.0.0.1:{}", byokd.provider.port()),
    );
    assert_eq!(
        hosts,
        [first, second.clone(), second],
        "one list, then both probes"
    );
}

#[tokio::test]
async fn a_data_residency_key_goes_to_no_other_host() {
    let (byokd, local, own) = two_hosts().await;
    let named = |base_url: String| v1::SetKeyRequest {
        base_url,
        ..another()
    };
    let rows = [
        ("eu.api.openai.com", another(), 1),
        ("127.0.0.1.evil.example", another(), 1),
        ("evil.127.0.0.1", another(), 1),
        ("127.0.0.1", named(local), 1),
        ("127.0.0.1", named(own), 1),
        // The named host names itself again.
        ("127.0.0.1", another(), 2),
    ];
    for (host, request, calls) in rows {
        for allow_unverified in [false, true] {
            byokd.provider.on_list(Reply::openai_wrong_host(host));
            let request = v1::SetKeyRequest {
                allow_unverified,
                ..request.clone()
            };
            let status = refused(&byokd, request, "BASE_URL_NOT_ALLOWED", "WRONG_HOST").await;
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(byokd.provider.requests().len(), calls, "{host}");
            byokd.provider.forget_requests();
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_named_host_stores_nothing() {
    let (byokd, ..) = two_hosts().await;
    byokd
        .provider
        .on_list_once(Reply::openai_wrong_host("127.0.0.1"))
        .set_valid_keys(&[&openai_key(1)]);
    refused(&byokd, another(), "KEY_REJECTED", "INVALID").await;
}
