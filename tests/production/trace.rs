//! One resolve, as a trace: from its caller down to the database and the KMS.

use byokd::domain::caller::Role;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use tonic::Request;

use crate::support::fleet::{Fleet, set_keys, workspace};
use crate::support::{
    KmsProxy, OtlpSink, ask,
    otlp_sink::{attribute, hex},
    rows::number,
    until,
};

const WORKSPACES: u32 = 16;
const CALLER: &str = "b7ad6b7169203331";

fn trace_id(n: u32) -> String {
    format!("0af7651916cd43dd8448eb211c8{n:05x}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn one_resolve_is_one_trace_from_its_caller_down_to_database_and_kms() {
    let (kms, sink) = (KmsProxy::start().await, OtlpSink::start().await);
    let arn = kms.create_key().await;
    let mut fleet = Fleet::on_postgres().await;
    fleet.set_kms(&kms, &arn, &[]);
    let process = fleet.start().await;
    set_keys(&process, WORKSPACES).await;
    let database = fleet.database().await;
    until("all data keys exist", async || {
        (number(&database, "SELECT count(*) FROM data_keys").await == 256).then_some(())
    })
    .await;
    drop(process);

    // So slow that data keys are still missing when a call needs them.
    fleet.set("BYOKD__KMS__CALLS_PER_SECOND", "2");
    fleet.set("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint());
    fleet.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    fleet.set("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let process = fleet.start().await;
    let mut resolver = process.keys(Role::Resolver).await;
    let mut found = None;
    for n in 0..WORKSPACES {
        let mut request = Request::new(ask(&workspace(n), "", "openai", ""));
        let parent = format!("00-{}-{CALLER}-01", trace_id(n));
        request
            .metadata_mut()
            .insert("traceparent", parent.parse().unwrap());
        if resolver.resolve_credentials(request).await.is_err() {
            // The KMS had no time for it.
            continue;
        }
        let spans = until("the call's span has left", async || {
            let spans = sink.trace(&trace_id(n));
            spans
                .iter()
                .any(|span| span.parent_span_id == hex_bytes(CALLER))
                .then_some(spans)
        })
        .await;
        if spans.iter().any(|span| span.name == "decrypt") {
            found = Some(spans);
            break;
        }
    }
    let spans = found.expect("no resolve asked the KMS");

    let [call] = named(&spans, "byok.v1.KeyService/ResolveCredentials")[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(call.kind(), SpanKind::Server);
    assert_eq!(hex(&call.parent_span_id), CALLER);
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "byok.v1.KeyService/ResolveCredentials"),
        ("rpc.response.status_code", "OK"),
    ] {
        assert_eq!(attribute(call, key).as_deref(), Some(value), "{call:#?}");
    }
    let load = named(&spans, "load_holder");
    assert!(!load.is_empty(), "{spans:#?}");
    for part in load {
        assert_eq!(
            (part.kind(), &part.parent_span_id),
            (SpanKind::Client, &call.span_id),
            "{part:#?}"
        );
        assert_eq!(
            attribute(part, "db.system.name").as_deref(),
            Some("postgresql")
        );
        assert_eq!(
            attribute(part, "db.operation.name").as_deref(),
            Some("load_holder")
        );
    }
    let [decrypt] = named(&spans, "decrypt")[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(
        (decrypt.kind(), &decrypt.parent_span_id),
        (SpanKind::Client, &call.span_id)
    );
    // Nothing in it names the workspace.
    let shown = format!("{spans:?}");
    assert!(
        (0..WORKSPACES).all(|n| !shown.contains(&format!("{:?}", workspace(n)))),
        "{shown}"
    );
    assert!(!shown.contains("sk-"), "{shown}");

    // byokd does not trace a caller that is not sampled. Spans leave in order: those of the last call come
    // after theirs.
    for n in 0..WORKSPACES {
        let _may_be_refused = resolver
            .resolve_credentials(ask(&workspace(n), "", "openai", ""))
            .await;
    }
    let mut request = Request::new(ask("globex", "llama", "", ""));
    let parent = format!("00-{}-{CALLER}-01", trace_id(WORKSPACES));
    request
        .metadata_mut()
        .insert("traceparent", parent.parse().unwrap());
    resolver.resolve_credentials(request).await.unwrap();
    until("the last call's span has left", async || {
        (!sink.trace(&trace_id(WORKSPACES)).is_empty()).then_some(())
    })
    .await;
    let ours = |span: &Span| hex(&span.trace_id).starts_with(&trace_id(0)[..27]);
    assert!(sink.spans().iter().all(ours), "{:#?}", sink.spans());
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
