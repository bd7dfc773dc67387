//! The duration and outcome of each call, for metrics and traces.
//!
//! Invariants: every call of the contract is counted once, also one that was given up, refused at the door, or is not
//! served. An unknown method has no label of its own: labels are a closed list.
//!
//! Not here: health checks.

use std::{error::Error as _, sync::LazyLock};

use http::{HeaderMap, HeaderName, Response};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use super::status::Because;
use crate::{
    contract::code_name,
    domain::caller::Rpc,
    telemetry::{
        metrics,
        trace::{self, TraceParent},
    },
};

/// The name of a method that is not served (OpenTelemetry, RPC conventions).
const OTHER: &str = "_OTHER";

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What nearly all calls are.
static RESOLVED: LazyLock<metrics::GoodCalls> =
    LazyLock::new(|| metrics::GoodCalls::of(Rpc::ResolveCredentials.method()));

/// A call that is measured. One that is dropped before its end was given up.
pub(super) struct Measured {
    rpc: Option<Rpc>,
    began: Instant,
    span: Span,
    parent: Option<TraceParent>,
    ended: bool,
}

impl Measured {
    /// From `began` on. `None` is a method that is not served.
    pub(super) fn begin(rpc: Option<Rpc>, began: Instant, headers: &HeaderMap) -> Self {
        let parent = headers
            .get(&TRACEPARENT)
            .and_then(|text| TraceParent::parse(text.to_str().ok()?));
        Self {
            rpc,
            began,
            span: trace::server(method(rpc), parent),
            parent,
            ended: false,
        }
    }

    /// Runs the call as part of its trace.
    pub(super) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        match (self.span.is_none(), self.parent) {
            (false, _) => call.instrument(self.span.clone()).await,
            (true, Some(parent)) => trace::under(parent, call).await,
            (true, None) => call.await,
        }
    }

    /// Until here.
    pub(super) fn end<B>(mut self, answer: &Response<B>) {
        self.ended = true;
        match answer.extensions().get::<Status>() {
            None => self.record(Code::Ok, None),
            Some(status) => {
                let reason = status
                    .source()
                    .and_then(|source| source.downcast_ref::<Because>());
                self.record(status.code(), reason.map(|because| because.0));
            }
        }
    }

    fn record(&self, code: Code, reason: Option<&'static str>) {
        let status = code_name(code);
        let error = (code != Code::Ok).then(|| reason.unwrap_or(status));
        let took = self.began.elapsed();
        match (self.rpc, code) {
            (Some(Rpc::ResolveCredentials), Code::Ok) => RESOLVED.ended(took),
            _ => metrics::call_ended(method(self.rpc), status, error, took),
        }
        if let (Some(Rpc::ResolveCredentials), Some(error)) = (self.rpc, error) {
            metrics::refused(error);
        }
        trace::ended(&self.span, status, error);
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.ended {
            let code = if std::thread::panicking() {
                Code::Internal
            } else {
                Code::Cancelled
            };
            self.record(code, None);
        }
    }
}

fn method(rpc: Option<Rpc>) -> &'static str {
    rpc.map_or(OTHER, Rpc::method)
}
