//! OTLP export, as the `OTEL_*` variables configure it (OpenTelemetry, "Environment Variable Specification").
//!
//! Invariants: without an endpoint nothing leaves; a variable that asks for what byokd does not do stops the start. Spans
//! wait in a queue of bounded length and are dropped beyond it; metrics are read when they leave. A collector that is away
//! is logged once, and its end is logged once.
//!
//! Not here: OTLP over HTTP, logs, and a file of settings of its own: collectors are configured like everybody else's.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_otlp::{
    MetricExporter, SpanExporter, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
    trace::{
        BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
        SpanData, SpanEvents,
    },
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

use super::{
    metrics,
    resource::{resource, set},
    trace::Sampling,
};

/// How long what is left may take to leave at the end.
const LAST: Duration = Duration::from_secs(1);

/// Why nothing can leave: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ExportFault(String);

/// What leaves.
pub struct Exports {
    tracer: Option<SdkTracerProvider>,
    meter: SdkMeterProvider,
}

impl Exports {
    /// As the environment says.
    pub(super) fn from_environment() -> Result<Self, ExportFault> {
        refuse_what_is_not_done()?;
        let (spans, numbers) = (leaves("TRACES")?, leaves("METRICS")?);
        let fault = |error: opentelemetry_otlp::ExporterBuildError| {
            ExportFault(format!(
                "the OTEL_EXPORTER_OTLP_* variables make no exporter: {error}"
            ))
        };
        let mut meter = metrics::provider(resource());
        if let Some(way) = numbers {
            let mut builder = MetricExporter::builder().with_tonic();
            if way == Way::Encrypted {
                builder = builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
            }
            let exporter = builder.build().map_err(fault)?;
            meter = meter
                .with_reader(PeriodicReader::builder(Telling::new(exporter, "metrics")).build());
        }
        let tracer = match spans {
            None => None,
            Some(way) => {
                let mut builder = SpanExporter::builder().with_tonic();
                if way == Way::Encrypted {
                    builder = builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
                }
                let exporter = builder.build().map_err(fault)?;
                let processor =
                    BatchSpanProcessor::builder(Telling::new(exporter, "traces")).build();
                sampling()?.begin();
                let builder = SdkTracerProvider::builder().with_resource(resource());
                Some(
                    builder
                        .with_sampler(Chosen)
                        .with_span_processor(processor)
                        .build(),
                )
            }
        };
        Ok(Self {
            tracer,
            meter: metrics::begin(meter.build()),
        })
    }

    /// What makes spans of what the code says; none where no trace leaves.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let tracer = self.tracer.as_ref()?.tracer("byokd");
        let layer = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_tracer(tracer);
        Some(layer)
    }

    /// Sends what is left, for a second each at the most. It blocks.
    pub fn end(self) {
        let spans = self
            .tracer
            .map_or(Ok(()), |tracer| tracer.shutdown_with_timeout(LAST));
        for (what, ended) in [
            ("spans", spans),
            ("metrics", self.meter.shutdown_with_timeout(LAST)),
        ] {
            if let Err(error) = ended {
                tracing::debug!(%error, "the last {what} did not leave");
            }
        }
    }
}

/// Values of the standard variables that byokd does not support.
fn refuse_what_is_not_done() -> Result<(), ExportFault> {
    for signal in ["", "TRACES_", "METRICS_"] {
        for file in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}{file}");
            if set(&name).is_some() {
                return Err(ExportFault(format!(
                    "{name} is set, and byokd trusts what the system trusts (SSL_CERT_FILE names another file) and has no \
                     certificate of its own for collectors"
                )));
            }
        }
    }
    let propagators = set("OTEL_PROPAGATORS").unwrap_or_else(|| "tracecontext,baggage".to_owned());
    let known = |one: &str| ["tracecontext", "baggage"].contains(&one.trim());
    match propagators.contains("tracecontext") && propagators.split(',').all(known) {
        true => Ok(()),
        false => Err(ExportFault(format!(
            "OTEL_PROPAGATORS is {propagators:?}, and byokd speaks tracecontext only (baggage is not passed on)"
        ))),
    }
}

/// How a signal reaches its collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    Encrypted,
}

/// How a signal leaves, if it does.
fn leaves(signal: &str) -> Result<Option<Way>, ExportFault> {
    let either = |name: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let (all, own_value) = (format!("OTEL_EXPORTER_OTLP_{name}"), set(&own));
        own_value
            .map(|value| (own, value))
            .or_else(|| set(&all).map(|value| (all, value)))
    };
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match set(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(ExportFault(format!(
                "{exporter} is {other:?}, and byokd exports by otlp or none"
            )));
        }
    }
    let Some((_, endpoint)) = either("ENDPOINT") else {
        return Ok(None);
    };
    let insecure =
        || either("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let plain = endpoint.starts_with("http://") || (!endpoint.contains("://") && insecure());
    match either("PROTOCOL") {
        Some((name, value)) if value != "grpc" => Err(ExportFault(format!(
            "{name} is {value:?}, and byokd speaks OTLP over grpc only (port 4317)"
        ))),
        _ => Ok(Some(if plain { Way::Plain } else { Way::Encrypted })),
    }
}

/// Which spans are kept: that of a call, which is made for a chosen call only, and what is below it. What a library begins
/// by itself belongs to no call.
#[derive(Clone, Debug)]
struct Chosen;

impl ShouldSample for Chosen {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace: TraceId,
        _name: &str,
        kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let is_below = parent.is_some_and(|parent| {
            let span = parent.span();
            let context = span.span_context();
            context.is_valid() && context.is_sampled() && !context.is_remote()
        });
        let decision = match *kind == SpanKind::Server || is_below {
            true => SamplingDecision::RecordAndSample,
            false => SamplingDecision::Drop,
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

fn sampling() -> Result<Sampling, ExportFault> {
    let sampler = set("OTEL_TRACES_SAMPLER");
    let ratio = || match set("OTEL_TRACES_SAMPLER_ARG") {
        None => Ok(1.0),
        Some(text) => match text.trim().parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(ExportFault(format!(
                "OTEL_TRACES_SAMPLER_ARG is {text:?}, and must be a number from 0 to 1"
            ))),
        },
    };
    let (parent_based, ratio) = match sampler.as_deref().unwrap_or("parentbased_always_on") {
        "always_on" => (false, 1.0),
        "always_off" => (false, 0.0),
        "traceidratio" => (false, ratio()?),
        "parentbased_always_on" => (true, 1.0),
        "parentbased_always_off" => (true, 0.0),
        "parentbased_traceidratio" => (true, ratio()?),
        other => {
            return Err(ExportFault(format!(
                "OTEL_TRACES_SAMPLER is {other:?}, and must be one of always_on, always_off, traceidratio, \
                 parentbased_always_on, parentbased_always_off, parentbased_traceidratio"
            )));
        }
    };
    Ok(Sampling {
        parent_based,
        ratio,
    })
}

/// An exporter that logs a failure once per outage. The SDK would log each failure.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    what: &'static str,
    failing: AtomicBool,
}

impl<E> Telling<E> {
    fn new(exporter: E, what: &'static str) -> Self {
        Self {
            exporter,
            what,
            failing: AtomicBool::new(false),
        }
    }

    fn log_once(&self, outcome: OTelSdkResult) -> OTelSdkResult {
        let what = self.what;
        match (
            self.failing.swap(outcome.is_err(), Ordering::Relaxed),
            outcome,
        ) {
            (false, Err(error)) => {
                tracing::warn!(%error, "{what} do not reach the collector; byokd serves on and drops what is too old");
            }
            (true, Ok(())) => tracing::info!("{what} reach the collector again"),
            (true, Err(_)) | (false, Ok(())) => {}
        }
        Ok(())
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Telling<E>
{
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            // Log lines stay here.
            span.events = SpanEvents::default();
        }
        self.log_once(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Telling<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.log_once(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
