//! Metrics. Counters and histograms are recorded here; gauges are read when scraped.
//!
//! Invariants: labels are of closed lists, and of the names of providers in the catalog; a workspace is none. A
//! process has one set of metrics.
//!
//! Not here: the meaning of each for an operator (`docs/telemetry.md`).

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter, MeterProvider as _},
};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use super::resource::resource;

pub use opentelemetry::KeyValue as Label;

/// In seconds: from a warm resolve to a test call at its deadline.
const BOUNDARIES: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// What Prometheus reads.
static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);
/// Where instruments come from; the first use makes one that only Prometheus reads.
static PROVIDER: OnceLock<SdkMeterProvider> = OnceLock::new();
static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new(&meter()));

struct Metrics {
    calls: Histogram<f64>,
    resolutions: Counter<u64>,
    byo: BoundCounter<u64>,
    credits: BoundCounter<u64>,
    unmetered: BoundCounter<u64>,
    degraded: Counter<u64>,
    hits: BoundCounter<u64>,
    lookups: Counter<u64>,
    kms_calls: Histogram<f64>,
    statements: Histogram<f64>,
    checks: Histogram<f64>,
}

impl Metrics {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            let builder = meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(what);
            builder.with_boundaries(BOUNDARIES.to_vec()).build()
        };
        let count = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_description(what).build()
        };
        let resolutions = count(
            "byokd.resolutions",
            "Calls of ResolveCredentials, by outcome, billing mode and reason.",
        );
        let lookups = count(
            "byokd.directory.lookups",
            "How workspaces were found: in memory, by a load, or not.",
        );
        let granted = |mode: &'static str| resolutions.bind(&resolution("granted", mode, ""));
        Self {
            byo: granted("byo"),
            credits: granted("credits"),
            unmetered: granted("unmetered"),
            resolutions,
            hits: lookups.bind(&[KeyValue::new("result", "hit")]),
            lookups,
            calls: seconds(
                "rpc.server.call.duration",
                "How long calls took, by method, status and reason.",
            ),
            degraded: count(
                "byokd.resolutions.degraded",
                "Credentials given from what was known while the database did not answer.",
            ),
            kms_calls: seconds(
                "byokd.kms.call.duration",
                "How long calls to the KMS took, by operation and outcome.",
            ),
            statements: seconds(
                "db.client.operation.duration",
                "How long the database took, waiting for a connection included.",
            ),
            checks: seconds(
                "byokd.provider.check.duration",
                "How long test calls took, by provider and verdict.",
            ),
        }
    }
}

/// The provider that is used from here on, unless there is one already.
pub(super) fn begin(provider: SdkMeterProvider) -> SdkMeterProvider {
    PROVIDER.get_or_init(|| provider).clone()
}

/// A provider whose metrics Prometheus reads, to which readers may be added.
pub(super) fn provider(resource: Resource) -> opentelemetry_sdk::metrics::MeterProviderBuilder {
    let builder = SdkMeterProvider::builder().with_resource(resource);
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .scope_info_enabled(false)
        .build();
    match exporter {
        Ok(exporter) => builder.with_reader(exporter),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be read at the admin port");
            builder
        }
    }
}

fn meter() -> Meter {
    PROVIDER
        .get_or_init(|| provider(resource()).build())
        .meter("byokd")
}

/// A call has ended: its method, the status as gRPC names it, and what was wrong.
pub fn call_ended(
    method: &'static str,
    code: &'static str,
    error: Option<&'static str>,
    took: Duration,
) {
    METRICS.calls.record(
        took.as_secs_f64(),
        with_error(&call(method, code, error), error),
    );
}

/// Calls of one method that end well, with their labels looked up once and for all: for those that are many.
pub struct GoodCalls(BoundHistogram<f64>);

impl GoodCalls {
    /// Those of this method.
    pub fn of(method: &'static str) -> Self {
        Self(
            METRICS
                .calls
                .bind(with_error(&call(method, "OK", None), None)),
        )
    }

    /// One of them has ended.
    pub fn ended(&self, took: Duration) {
        self.0.record(took.as_secs_f64());
    }
}

fn call(method: &'static str, code: &'static str, error: Option<&'static str>) -> [KeyValue; 4] {
    [
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.response.status_code", code),
        KeyValue::new("error.type", error.unwrap_or_default()),
    ]
}

/// Who pays for what was granted.
#[derive(Clone, Copy, Debug)]
pub enum Billed {
    /// The workspace's own key.
    Byo,
    /// The platform, for credits.
    Credits,
    /// No payer.
    Unmetered,
}

/// A credential is given, or a local model granted.
pub fn granted(billed: Billed, degraded: bool) {
    match billed {
        Billed::Byo => METRICS.byo.add(1),
        Billed::Credits => METRICS.credits.add(1),
        Billed::Unmetered => METRICS.unmetered.add(1),
    }
    if degraded {
        METRICS.degraded.add(1, &[]);
    }
}

/// A resolution was refused.
pub fn refused(reason: &'static str) {
    METRICS
        .resolutions
        .add(1, &resolution("refused", "none", reason));
}

fn resolution(
    outcome: &'static str,
    billing_mode: &'static str,
    reason: &'static str,
) -> [KeyValue; 3] {
    [
        KeyValue::new("outcome", outcome),
        KeyValue::new("billing_mode", billing_mode),
        KeyValue::new("reason", reason),
    ]
}

/// How a workspace was found.
#[derive(Clone, Copy, Debug)]
pub enum Lookup {
    /// In memory, fresh.
    Hit,
    /// By asking the database.
    Load,
    /// In memory, while the database does not answer.
    Degraded,
    /// Not at all.
    Failed,
}

/// A workspace was looked up.
pub fn looked_up(lookup: Lookup) {
    let result = match lookup {
        Lookup::Hit => return METRICS.hits.add(1),
        Lookup::Load => "load",
        Lookup::Degraded => "degraded",
        Lookup::Failed => "failed",
    };
    METRICS.lookups.add(1, &[KeyValue::new("result", result)]);
}

/// The KMS was called.
pub fn kms_called(operation: &'static str, outcome: &'static str, took: Duration) {
    let labels = [
        KeyValue::new("operation", operation),
        KeyValue::new("outcome", outcome),
    ];
    METRICS.kms_calls.record(took.as_secs_f64(), &labels);
}

/// The database was asked.
pub fn stored(
    system: &'static str,
    operation: &'static str,
    error: Option<&'static str>,
    took: Duration,
) {
    let labels = [
        KeyValue::new("db.system.name", system),
        KeyValue::new("db.operation.name", operation),
        KeyValue::new("error.type", error.unwrap_or_default()),
    ];
    METRICS
        .statements
        .record(took.as_secs_f64(), with_error(&labels, error));
}

/// By the conventions, what went well has no `error.type`, which is the last label here.
fn with_error<'l>(labels: &'l [KeyValue], error: Option<&str>) -> &'l [KeyValue] {
    match (error, labels.split_last()) {
        (None, Some((_, rest))) => rest,
        _ => labels,
    }
}

/// A key was tested. `provider` is a name in the catalog.
pub fn checked(provider: &str, verdict: &str, took: Duration) {
    let labels = [
        KeyValue::new("provider", provider.to_owned()),
        KeyValue::new("verdict", verdict.to_ascii_lowercase()),
    ];
    METRICS.checks.record(took.as_secs_f64(), &labels);
}

/// A gauge. Each scrape calls `read`, which sets one value for each set of labels.
pub fn gauge(
    name: &'static str,
    unit: &'static str,
    what: &'static str,
    read: impl Fn(&mut dyn FnMut(f64, &[Label])) + Send + Sync + 'static,
) {
    let meter = meter();
    let builder = meter
        .f64_observable_gauge(name)
        .with_description(what)
        .with_unit(unit);
    builder
        .with_callback(move |observer| read(&mut |value, labels| observer.observe(value, labels)))
        .build();
}

/// A counter that another module keeps. Each scrape calls `read`.
pub fn total(
    name: &'static str,
    what: &'static str,
    read: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    let meter = meter();
    let builder = meter.u64_observable_counter(name).with_description(what);
    builder
        .with_callback(move |observer| {
            if let Some(total) = read() {
                observer.observe(total, &[]);
            }
        })
        .build();
}

/// Everything, as Prometheus reads it (text format 0.0.4).
///
/// # Errors
/// Why the exposition failed.
pub fn exposition() -> Result<String, String> {
    // An instrument that nothing was counted on is there all the same.
    LazyLock::force(&METRICS);
    TextEncoder::new()
        .encode_to_string(&REGISTRY.gather())
        .map_err(|error| error.to_string())
}
