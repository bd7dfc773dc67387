//! Waiting for the KMS and the database.

use std::time::Duration;

use crate::domain::error::{Error, Reason};

/// The most attempts of one step.
const ATTEMPTS: u32 = 10;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Repeats a step until it ends in something other than an outage, or the attempts are used up.
pub(super) async fn retry<T>(mut step: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    for attempt in 1..ATTEMPTS {
        match step().await {
            Err(error) if is_outage(&error) => {
                tracing::warn!(?error, attempt, "rewrap waits for the KMS or the database");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
    step().await
}

fn is_outage(error: &Error) -> bool {
    let reason = error.reason();
    matches!(reason, Reason::KmsUnavailable | Reason::StoreUnavailable)
}
