//! Traces and metrics that byokd sends, and their cost when the collector does not accept them.

use std::fs;

use byokd::domain::caller::Role;
use tokio::net::TcpListener;
use tonic::{Code, Request, metadata::MetadataValue};
use tonic_types::StatusExt as _;

use crate::support::{
    Ca, OtlpSink, Process, Site, ask, new_key, openai_key,
    otlp_sink::{attribute, hex},
    until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn under<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE}-{SPAN}-{flags}");
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    request
}

async fn start(site: &Site, environment: &[(&str, &str)]) -> Process {
    let mut serve = site.serve();
    serve
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    serve.envs(environment.iter().copied());
    site.start_as(serve).await
}

#[tokio::test]
async fn a_key_check_is_part_of_the_callers_trace_at_the_provider() {
    let (site, sink) = (Site::new().await, OtlpSink::start().await);
    let process = start(&site, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint())]).await;
    let mut admin = process.keys(Role::Admin).await;
    admin
        .set_key(under(new_key("acme", "openai", &openai_key(1)), "01"))
        .await
        .unwrap();
    let spans = until("the call's span has left", async || {
        let spans = sink.trace(TRACE);
        spans
            .iter()
            .any(|span| hex(&span.parent_span_id) == SPAN)
            .then_some(spans)
    })
    .await;
    let check = spans
        .iter()
        .find(|span| span.name == "check_key")
        .expect("no span of the test call");
    assert_eq!(
        attribute(check, "byokd.provider").as_deref(),
        Some("openai")
    );
    assert_eq!(attribute(check, "byokd.verdict").as_deref(), Some("VALID"));
    for name in ["begin_change", "commit_change"] {
        assert!(
            spans.iter().any(|span| span.name == name),
            "{name}: {spans:#?}"
        );
    }
    let sent = |parent: String| {
        let requests = site.provider.requests();
        assert!(!requests.is_empty());
        for request in requests {
            assert_eq!(
                request.headers["traceparent"],
                parent.as_str(),
                "{}",
                request.path
            );
            assert!(!request.headers.contains_key("tracestate"));
        }
        site.provider.forget_requests();
    };
    sent(format!("00-{TRACE}-{}-01", hex(&check.span_id)));

    // For a caller without a trace byokd starts one; the provider receives it too.
    let mut request = under(new_key("acme", "openai", &openai_key(2)), "00");
    request
        .metadata_mut()
        .insert("tracestate", MetadataValue::from_static("vendor=secret"));
    admin.set_key(request).await.unwrap();
    sent(format!("00-{TRACE}-{SPAN}-00"));
    // Spans leave in order: a span of the call before would be here already.
    let later = TRACE.replace("0af7", "0af8");
    let mut request = Request::new(new_key("acme", "openai", &openai_key(3)));
    request.metadata_mut().insert(
        "traceparent",
        format!("00-{later}-{SPAN}-01").parse().unwrap(),
    );
    admin.set_key(request).await.unwrap();
    until("the later call's spans have left", async || {
        sink.trace(&later)
            .iter()
            .any(|span| hex(&span.parent_span_id) == SPAN)
            .then_some(())
    })
    .await;
    assert_eq!(sink.trace(TRACE).len(), spans.len());
    // The call writes no log line.
    assert!(sink.spans().iter().all(|span| span.events.is_empty()));

    until("metrics have left", async || {
        sink.metrics()
            .iter()
            .any(|name| name == "rpc.server.call.duration")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failure_has_the_callers_trace_id_in_the_log_and_in_the_answer() {
    let site = Site::new().await;
    for (format, flags, endpoint) in [("json", "00", ""), ("pretty", "01", "http://127.0.0.1:9")] {
        let process = start(
            &site,
            &[
                ("BYOKD__LOG__FORMAT", format),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ],
        )
        .await;
        let mut request = under(ask("acme", "", "openai", ""), flags);
        request.metadata_mut().insert(
            "authorization",
            MetadataValue::from_static("Bearer no.such.token"),
        );
        let mut stranger = process.stranger().await;
        let status = stranger.resolve_credentials(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(
            status.get_details_error_info().unwrap().metadata["trace_id"],
            TRACE
        );
        let log = process.said();
        let line = log
            .lines()
            .find(|line| line.contains(TRACE))
            .unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("caller refused"), "{line}");
    }
}

/// Resolves, traced, until the condition holds; each call must be answered.
async fn served(process: &Process, calls: u32) {
    let mut resolver = process.keys(Role::Resolver).await;
    for n in 0..calls {
        let answer = resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await;
        assert!(answer.is_ok(), "call {n}: {answer:?}");
    }
}

fn resident_kilobytes(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_or_slow_collector_delays_no_call_and_is_logged_once() {
    // One without a listener, and one that accepts everything and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}", silent.local_addr().unwrap());
    let accepting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            open.push(connection);
        }
    });
    for (endpoint, logs) in [("http://127.0.0.1:9", true), (slow.as_str(), false)] {
        let site = Site::new().await;
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_TRACES_SAMPLER", "always_on"),
        ];
        let mut process = start(&site, &environment).await;
        served(&process, 3_000).await;
        let before = resident_kilobytes(&process);
        // Several times the size of the queue.
        served(&process, 9_000).await;
        let after = resident_kilobytes(&process);
        assert!(
            after < before + 32 * 1024,
            "from {before} to {after} KiB in 9,000 calls: {endpoint}"
        );
        if logs {
            until("the outage is logged", async || {
                process
                    .said()
                    .contains("traces do not reach the collector")
                    .then_some(())
            })
            .await;
        }
        process.terminate();
        let status = process.ended().await;
        assert!(status.success(), "{status}: {}", process.said());
        let times = process
            .said()
            .matches("traces do not reach the collector")
            .count();
        assert!(times <= 1, "logged {times} times: {}", process.said());
    }
    accepting.abort();
}

#[tokio::test]
async fn a_collector_with_a_certificate_of_its_own_is_reached() {
    let (site, ca) = (Site::new().await, Ca::new("collectors"));
    let sink = OtlpSink::start_encrypted(&ca).await;
    let roots = site.path("roots.pem");
    fs::write(&roots, ca.pem()).unwrap();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()),
        ("SSL_CERT_FILE", roots.display().to_string()),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let process = start(&site, &environment).await;
    served(&process, 1).await;
    until("a span has left", async || {
        (!sink.spans().is_empty()).then_some(())
    })
    .await;
    until("metrics have left", async || {
        (!sink.metrics().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_variable_with_an_unsupported_value_stops_the_start() {
    let site = Site::new().await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    for (name, value, sentence) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/protobuf",
            "speaks OTLP over grpc only",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "http/json",
            "speaks OTLP over grpc only",
        ),
        ("OTEL_TRACES_EXPORTER", "zipkin", "exports by otlp or none"),
        (
            "OTEL_METRICS_EXPORTER",
            "prometheus",
            "exports by otlp or none",
        ),
        (
            "OTEL_TRACES_SAMPLER",
            "sometimes",
            "must be one of always_on",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "not a url",
            "OTEL_EXPORTER_OTLP_",
        ),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "/ca.pem",
            "trusts what the system trusts",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
            "/key.pem",
            "no certificate of its own",
        ),
        ("OTEL_PROPAGATORS", "b3", "speaks tracecontext only"),
    ] {
        let mut serve = site.serve();
        serve.env(endpoint.0, endpoint.1).env(name, value);
        let said = site.refused(serve).await;
        assert!(said.contains(sentence), "{name}={value}: {said}");
    }
    let mut serve = site.serve();
    serve
        .env(endpoint.0, endpoint.1)
        .env("OTEL_TRACES_SAMPLER", "traceidratio");
    serve.env("OTEL_TRACES_SAMPLER_ARG", "1.5");
    assert!(
        site.refused(serve)
            .await
            .contains("must be a number from 0 to 1")
    );
    // Nothing is sent, so no collector is required.
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let process = start(&site, &[endpoint, (name, value)]).await;
        served(&process, 1).await;
    }
}
