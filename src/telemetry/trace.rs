//! Traces: which calls are traced, under whose trace, and what that means for the calls that byokd makes.
//!
//! Invariants: whether a call is traced is decided before a span is made, so that one that is not costs no span. A
//! caller's `traceparent` that is not exactly what W3C Trace Context says is none. A span holds names, codes and
//! reasons; no workspace, no key, no text of anybody else's.
//!
//! Not here: `tracestate` and baggage. They are other people's words, and providers would get to read them.

use std::sync::OnceLock;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of every span that leaves by OTLP; no log line has it.
pub(super) const TARGET: &str = "byokd::trace";

/// How traces are sampled in this process; unset: not at all.
static SAMPLING: OnceLock<Sampling> = OnceLock::new();

tokio::task_local! {
    /// Whose trace the call that runs belongs to, if its caller said so.
    static CALLER: TraceParent;
}

/// Which calls are traced (`OTEL_TRACES_SAMPLER`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// A caller that says whether it traces is followed.
    pub(super) parent_based: bool,
    /// The share of the others, 0 to 1.
    pub(super) ratio: f64,
}

impl Sampling {
    /// From here on calls are traced like this.
    pub(super) fn begin(self) {
        let _the_first_one_counts = SAMPLING.set(self);
    }

    fn takes(self, parent: Option<TraceParent>) -> bool {
        if let Some(parent) = parent.filter(|_| self.parent_based) {
            return parent.sampled();
        }
        let id = parent.map_or_else(
            || RandomIdGenerator::default().new_trace_id(),
            TraceParent::trace_id,
        );
        self.takes_id(id)
    }

    /// The last 56 bits of a trace id are random (W3C Trace Context, level 2); a share of all numbers is a share of them.
    fn takes_id(self, id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = id.to_bytes();
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        #[expect(
            clippy::as_conversions,
            reason = "56 bits fit, and a share need not be exact"
        )]
        let (random, all) = (random as f64, (1_u64 << 56) as f64);
        random < self.ratio * all
    }
}

/// A caller's `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// Reads `00-<trace>-<span>-<flags>`, in lower-case hexadecimal digits (W3C Trace Context, section 3.2).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version: [u8; 1] = digits(parts.next()?)?;
        let parent = Self {
            trace: digits(parts.next()?)?,
            span: digits(parts.next()?)?,
            flags: 0,
        };
        let [flags] = digits(parts.next()?)?;
        let known = match version {
            [0] => parts.next().is_none(),
            // A later version may say more behind these.
            [version] => version != u8::MAX,
        };
        (known && parent.trace != [0; 16] && parent.span != [0; 8])
            .then_some(Self { flags, ..parent })
    }

    fn sampled(self) -> bool {
        self.flags & 1 == 1
    }

    fn trace_id(self) -> TraceId {
        TraceId::from_bytes(self.trace)
    }

    fn context(self) -> opentelemetry::Context {
        let span = SpanContext::new(
            self.trace_id(),
            SpanId::from_bytes(self.span),
            TraceFlags::new(self.flags),
            true,
            TraceState::default(),
        );
        opentelemetry::Context::new().with_remote_span_context(span)
    }
}

/// Exactly `N` bytes as lower-case hexadecimal digits.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit
            .checked_sub(b'a')
            .and_then(|above| above.checked_add(10)),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; N];
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

/// The span of a call that comes in; none if it is not traced.
pub fn server(method: &'static str, parent: Option<TraceParent>) -> Span {
    if !SAMPLING
        .get()
        .is_some_and(|sampling| sampling.takes(parent))
    {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        // It fails only on a span that was entered.
        let _not_entered = span.set_parent(parent.context());
    }
    span
}

/// Says how a call ended that has a span.
pub fn ended(span: &Span, code: &'static str, error: Option<&'static str>) {
    span.record("rpc.response.status_code", code);
    if let Some(error) = error {
        span.record("error.type", error);
        // By the convention, what is the caller's fault is no error of the server's.
        if matches!(
            code,
            "INTERNAL"
                | "UNAVAILABLE"
                | "DATA_LOSS"
                | "DEADLINE_EXCEEDED"
                | "UNKNOWN"
                | "UNIMPLEMENTED"
        ) {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Whether what runs now is traced: only then its parts have spans.
pub fn traced() -> bool {
    SAMPLING.get().is_some() && !Span::current().is_none()
}

/// The span of something that byokd waits for: `kind` is `client` for other services, `internal` for its own work.
/// Without a traced call around it there is none.
macro_rules! part {
    ($name:expr, $kind:literal $(, $($field:tt)*)?) => {
        if $crate::telemetry::trace::traced() {
            tracing::info_span!(
                target: "byokd::trace",
                "part",
                otel.name = $name,
                otel.kind = $kind,
                otel.status_code = tracing::field::Empty,
                "error.type" = tracing::field::Empty,
                $($($field)*)?
            )
        } else {
            tracing::Span::none()
        }
    };
}
pub(crate) use part;

/// Says that what a span is about failed.
pub fn failed(span: &Span, error: &'static str) {
    span.record("error.type", error);
    span.record("otel.status_code", "ERROR");
}

/// Runs a call that is not traced, under its caller's trace.
pub async fn under<T>(parent: TraceParent, call: impl Future<Output = T>) -> T {
    CALLER.scope(parent, call).await
}

/// The trace id of the call that runs, as lower-case hexadecimal digits: for log lines and for callers. One that belongs
/// to no trace gets an id of its own.
pub fn id() -> String {
    let current = current().map(|context| context.trace_id());
    let id = current.or_else(|| CALLER.try_with(|parent| parent.trace_id()).ok());
    id.unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
        .to_string()
}

/// The `traceparent` of a call that byokd makes for the one that runs.
pub fn outgoing() -> Option<String> {
    let (trace, span, flags) = match current() {
        Some(context) => (
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8(),
        ),
        None => {
            let parent = CALLER.try_with(|parent| *parent).ok()?;
            (parent.trace_id(), SpanId::from_bytes(parent.span), 0)
        }
    };
    Some(format!("00-{trace}-{span}-{flags:02x}"))
}

fn current() -> Option<SpanContext> {
    if !traced() {
        return None;
    }
    let context = Span::current().context().span().span_context().clone();
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_parent_is_read_as_w3c_writes_it() {
        let parent = TraceParent::parse(PARENT).unwrap();
        assert_eq!(
            parent.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert!(parent.sampled());
        assert!(
            !TraceParent::parse(&PARENT.replace("-01", "-00"))
                .unwrap()
                .sampled()
        );
        assert!(TraceParent::parse(&format!("{}-more", PARENT.replacen("00", "01", 1))).is_some());
        for bad in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
            &format!(" {PARENT}"),
            &PARENT.replace(
                "0af7651916cd43dd8448eb211c80319c",
                "00000000000000000000000000000000",
            ),
            &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            &PARENT.replace("-01", "-1"),
            &PARENT.replace("-01", "-0g"),
            &PARENT.replace("b7ad", "b7a"),
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_of_the_calls_is_traced_and_a_caller_is_followed() {
        let (parent, quiet) = (
            TraceParent::parse(PARENT),
            TraceParent::parse(&PARENT.replace("-01", "-00")),
        );
        let sampling = |parent_based, ratio| Sampling {
            parent_based,
            ratio,
        };
        assert!(sampling(true, 0.0).takes(parent) && !sampling(true, 1.0).takes(quiet));
        assert!(!sampling(false, 0.0).takes(parent) && sampling(false, 1.0).takes(quiet));
        assert!(sampling(true, 1.0).takes(None) && !sampling(true, 0.0).takes(None));
        let taken = (0..10_000)
            .filter(|_| sampling(true, 0.1).takes(None))
            .count();
        assert!((500..2_000).contains(&taken), "{taken} of 10,000");
    }

    #[test]
    fn without_sampling_nothing_is_traced() {
        assert!(
            server("m", TraceParent::parse(PARENT)).is_none() && !traced() && outgoing().is_none()
        );
        assert_eq!(id().len(), 32);
    }

    #[tokio::test]
    async fn a_call_that_is_not_traced_stays_in_its_callers_trace() {
        let parent = TraceParent::parse(PARENT).unwrap();
        let (outgoing, id) = under(parent, async { (outgoing(), id()) }).await;
        assert_eq!(outgoing.unwrap(), PARENT.replace("-01", "-00"));
        assert_eq!(id, "0af7651916cd43dd8448eb211c80319c");
    }
}
