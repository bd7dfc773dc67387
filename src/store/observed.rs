//! Times what the database is asked for, and makes it a part of the trace.
//!
//! Invariant: an operation's name is one of ours, never a statement.
//!
//! Absent: single statements. What counts is how long somebody waited, for a connection and a lock, too.

use std::time::Instant;

use tracing::Instrument as _;

use super::{Engine, Store};
use crate::{
    domain::error::Error,
    telemetry::{metrics, trace},
};

impl Store {
    /// The outcome of some work, which is told to metrics and trace.
    pub(super) async fn observed<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        observed(self.system(), operation, work).await
    }

    /// The database's name in OpenTelemetry's conventions.
    pub(super) fn system(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgresql",
        }
    }
}

/// The same for who has no store at hand.
pub(super) async fn observed<T>(
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
    // Boxed, since it stands at the bottom of everything that waits for it.
    let outcome = Box::pin(work.instrument(span.clone())).await;
    let error = outcome.as_ref().err().map(|error| error.reason().as_str());
    metrics::stored(system, operation, error, began.elapsed());
    if let Some(error) = error {
        trace::failed(&span, error);
    }
    outcome
}
