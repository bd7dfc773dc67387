//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use tonic::Status;

use super::reason;

/// Longer than any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const COME_BACK: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Checks until the condition returns a value; panics at the limit.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, look).await
}

/// The same with another limit.
pub(crate) async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// The answer of a call. On a busy machine the database or the KMS may be late; a caller that is refused for
/// that waits a moment and retries.
pub(crate) async fn answered<T>(answer: Result<T, Status>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(status)
            if ["STORE_UNAVAILABLE", "KMS_UNAVAILABLE"].contains(&reason(&status).as_str()) =>
        {
            tokio::time::sleep(COME_BACK).await;
            None
        }
        Err(status) => panic!("{status:?}"),
    }
}
