//! Limits of a key check: a hostile provider cannot hold it up, fill memory, or get the key sent elsewhere.

use std::{
    collections::{BTreeMap, HashSet},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use byokd::domain::protocol::Protocol;
use byokd::domain::verdict::Verdict;
use byokd::{
    egress::Egress,
    provider::{ListOutcome, ProbeTarget, Providers},
};

use super::{KEY, check, check_anthropic, check_by, development, key, owned, providers};
use crate::{support::fake_provider::FakeProvider, support::reply::Reply};

#[tokio::test]
async fn pages_without_end_count_as_hidden() {
    let provider = FakeProvider::start().await;
    let page = serde_json::json!({ "data": [{ "id": "m-1" }], "has_more": true, "last_id": "m-1" });
    provider.on_list(Reply::json(200, &page));
    let checked = check_anthropic(&provider).await;
    assert_eq!(
        (checked.verdict, checked.models),
        (Verdict::ValidListHidden, None)
    );
    assert_eq!(provider.requests().len(), 50 + 1);
}

#[tokio::test]
async fn a_key_with_an_oversized_list_is_accepted() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::many_models(50_000));
    let checked = check(&provider).await;
    assert_eq!(
        (checked.verdict, checked.models),
        (Verdict::ValidListHidden, None)
    );
}

#[tokio::test]
async fn an_endless_body_is_not_read() {
    let provider = FakeProvider::start().await;
    for reply in [
        Reply::padded_list(10 * 1024 * 1024),
        Reply::endless(200),
        Reply::endless(401),
    ] {
        provider.on_list(reply);
        assert_eq!(check(&provider).await.verdict, Verdict::Unexpected);
    }
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_provider_does() {
    let provider = FakeProvider::start().await;
    let short = Providers::new(development(), Duration::from_millis(300)).unwrap();
    for reply in [Reply::hang(), Reply::drip()] {
        provider.on_list(reply);
        let checked = check_by(&short, Protocol::Openai, &provider.base_url(), None).await;
        assert_eq!(
            (checked.verdict, checked.models),
            (Verdict::Unreachable, None)
        );
    }
    provider.openai_ok(&["m-1"]).on_generate(Reply::hang());
    let enough_for_a_list = Providers::new(development(), Duration::from_secs(2)).unwrap();
    let checked = check_by(
        &enough_for_a_list,
        Protocol::Openai,
        &provider.base_url(),
        None,
    )
    .await;
    assert_eq!(
        (checked.verdict, checked.models),
        (Verdict::Unreachable, Some(owned(&["m-1"])))
    );
}

#[tokio::test]
async fn a_broken_answer_is_not_retried() {
    let provider = FakeProvider::start().await;
    provider.on_list(Reply::cut(200));
    assert_eq!(check(&provider).await.verdict, Verdict::Unreachable);
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_is_tried_twice_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("https://{}/v1", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let connections = Arc::new(Mutex::new(0));
    let count = Arc::clone(&connections);
    // Closes every connection before the TLS handshake; ends with the test process.
    std::thread::spawn(move || {
        listener
            .incoming()
            .for_each(|_| *count.lock().unwrap() += 1)
    });
    let checked = check_by(&providers(development()), Protocol::Openai, &base_url, None).await;
    assert_eq!(checked.verdict, Verdict::Unreachable);
    assert_eq!(*connections.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_redirect_does_not_send_the_key_elsewhere() {
    let (provider, elsewhere) = (FakeProvider::start().await, FakeProvider::start().await);
    provider.on_list(Reply::redirect(elsewhere.base_url().as_str()));
    assert_eq!(check(&provider).await.verdict, Verdict::Unexpected);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_name_of_an_inner_address_is_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let base_url = format!("https://{host}:{port}/v1").parse().unwrap();
        let checked = check_by(
            &providers(Egress::default()),
            Protocol::Openai,
            &base_url,
            None,
        )
        .await;
        assert_eq!(checked.verdict, Verdict::Unreachable, "{host}");
    }
    assert!(listener.accept().is_err(), "byokd connected");

    let provider = FakeProvider::start().await;
    let base_url = format!("http://localhost:{}/v1", provider.port())
        .parse()
        .unwrap();
    let checked = check_by(&providers(development()), Protocol::Openai, &base_url, None).await;
    assert_eq!(checked.verdict, Verdict::Valid, "the same name, allowed");
}

#[tokio::test]
async fn a_key_of_another_vendor_is_not_sent() {
    let provider = FakeProvider::start().await;
    let (headers, base_url) = (BTreeMap::new(), provider.base_url());
    let providers = providers(development());
    let target = ProbeTarget {
        provider: "openai",
        protocol: Protocol::Openai,
        base_url: &base_url,
        headers: &headers,
    };
    for foreign in ["sk-ant-api03-0123456789AA", "sk-admin-0123456789"] {
        assert_eq!(
            providers.key_hint(&target, &key(foreign)),
            Some(Verdict::WrongKind)
        );
        let checked = providers
            .check(&target, &key(foreign), &[], &HashSet::new(), None)
            .await;
        assert_eq!(checked.verdict, Verdict::WrongKind);
        assert_eq!(
            providers.list(&target, &key(foreign)).await,
            ListOutcome::Failed(Verdict::WrongKind)
        );
    }
    assert!(provider.requests().is_empty());
    assert_eq!(providers.key_hint(&target, &key(KEY)), None);
}

#[tokio::test]
async fn headers_of_the_key_cannot_replace_ours() {
    let provider = FakeProvider::start().await;
    let base_url = provider.base_url();
    let providers = providers(development());
    let headers = BTreeMap::from([("Authorization".to_owned(), "Bearer other".to_owned())]);
    let target = ProbeTarget {
        provider: "acme",
        protocol: Protocol::Openai,
        base_url: &base_url,
        headers: &headers,
    };
    providers.list(&target, &key(KEY)).await;
    assert_eq!(
        provider.requests()[0].headers["authorization"],
        format!("Bearer {KEY}")
    );
    for (name, value) in [
        ("Host", "evil.example"),
        ("X-Project", "a\r\nb: c"),
        ("no name", "x"),
    ] {
        let headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let target = ProbeTarget {
            headers: &headers,
            ..target
        };
        assert_eq!(
            providers.list(&target, &key(KEY)).await,
            ListOutcome::Failed(Verdict::Unexpected)
        );
    }
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn nothing_that_the_provider_wrote_is_logged_or_answered() {
    let alone = "BYOKD_TEST_ALONE";
    if std::env::var_os(alone).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(provoke_every_log_line());
    }
    // A process chooses its log subscriber once, so no other test may run in it.
    run_alone(
        "limits::nothing_that_the_provider_wrote_is_logged_or_answered",
        &[(alone, "1")],
    );
}

async fn provoke_every_log_line() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || Log(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let provider = FakeProvider::start().await;
    let mut output = String::new();
    let echo = format!("CANARY Incorrect API key provided: {KEY}");
    for reply in [
        Reply::openai_error(401, Some("invalid_api_key"), &echo),
        Reply::openai_error(500, None, &echo),
        Reply::openai_error(418, Some("CANARY"), &echo),
        Reply::redirect("http://CANARY.example/"),
        Reply::text(200, echo.clone()),
        Reply::cut(401),
    ] {
        provider.on_list(reply);
        output.push_str(&format!("{:?}", check(&provider).await));
    }
    output.push_str(&String::from_utf8(log.lock().unwrap().clone()).unwrap());
    assert!(
        output.contains("probe failed") && output.contains("acme") && output.contains("INVALID"),
        "{output}"
    );
    for secret in ["CANARY", "WXYZ", "/v1/models"] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_environments_proxy_is_ignored() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = format!("http://{unused}");
    let everywhere =
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, proxy.as_str()));
    run_alone("verdicts::a_good_key_lists_and_generates", &everywhere);
}

/// Runs one of these tests in its own process and environment.
fn run_alone(test: &str, environment: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("providers::client::{test}")])
        .envs(environment.iter().copied())
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
