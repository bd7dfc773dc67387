//! The rate of log lines about unauthenticated callers, because anybody can cause them.
//!
//! Not here: the audit stream, which counts what it leaves out.

use std::{num::NonZeroU32, sync::LazyLock};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines a second, of handshakes and calls together …
const LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// Burst size: enough to log the start of a faulty rollout in full.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);

/// Whether the log may have one more line about an unauthenticated caller.
pub fn may_log_refusal() -> bool {
    static LINES_LEFT: LazyLock<DefaultDirectRateLimiter> =
        LazyLock::new(|| RateLimiter::direct(Quota::per_second(LINES).allow_burst(AT_ONCE)));
    LINES_LEFT.check().is_ok()
}
