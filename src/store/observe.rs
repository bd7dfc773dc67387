//! Metrics and spans of database operations.
//!
//! Invariants: an operation's name is one of byokd's, never a statement. Its time includes waits for connections and
//! locks.

use std::time::Instant;

use tracing::Instrument as _;

use crate::{
    domain::error::Error,
    telemetry::{metrics, trace},
};

/// Runs `work` in a span and records its duration and outcome.
pub(super) async fn observe<T>(
    system: &'static str,
    operation: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let span = trace::part!(
        operation,
        "client",
        db.system.name = system,
        db.operation.name = operation
    );
    let began = Instant::now();
    // Boxed to keep the futures of all callers small.
    let outcome = Box::pin(work.instrument(span.clone())).await;
    let error = outcome.as_ref().err().map(|error| error.reason().as_str());
    metrics::stored(system, operation, error, began.elapsed());
    if let Some(error) = error {
        trace::failed(&span, error);
    }
    outcome
}
