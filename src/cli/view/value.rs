//! Single values: enum names, times, durations and amounts.
//!
//! Invariant: times are UTC, as in the server's log.

use prost_types::{Duration, Timestamp};

/// The prefixes of the contract's enum names.
const PREFIXES: [&str; 4] = ["BADGE_", "VERDICT_", "BILLING_MODE_", "KEY_SOURCE_"];

/// An enum name without its prefix; empty for `UNSPECIFIED`.
pub(super) fn short(name: &str) -> String {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    match bare.unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        bare => bare.to_owned(),
    }
}

/// A time to the second; empty if it is absent.
pub(in crate::cli) fn when(at: Option<Timestamp>) -> String {
    at.map(|at| Timestamp { nanos: 0, ..at }.to_string())
        .unwrap_or_default()
}

/// A duration as in the contract's JSON, e.g. "60s"; empty if it is absent.
pub(in crate::cli) fn seconds(duration: Option<Duration>) -> String {
    duration
        .map(|duration| duration.to_string())
        .unwrap_or_default()
}

/// Millionths as a decimal number without trailing zeros.
pub(super) fn millionths(micros: i64) -> String {
    let whole = micros.unsigned_abs() / 1_000_000;
    let rest = micros.unsigned_abs() % 1_000_000;
    let sign = if micros < 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_prefix() {
        assert_eq!(short("VERDICT_NO_FUNDS"), "NO_FUNDS");
        assert_eq!(short("BADGE_UNSPECIFIED"), "");
    }

    #[test]
    fn times_and_durations() {
        let at = |seconds, nanos| when(Some(Timestamp { seconds, nanos }));
        assert_eq!(at(1_700_000_000, 999_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(when(None), "");
        // A broken server must not end the process.
        assert!(!at(i64::MAX, 0).is_empty());
        assert!(!at(i64::MIN, -1).is_empty());
        let ttl = Duration {
            seconds: 60,
            nanos: 0,
        };
        assert_eq!(seconds(Some(ttl)), "60s");
    }

    #[test]
    fn amounts() {
        assert_eq!(millionths(1_000_000), "1");
        assert_eq!(millionths(2_000), "0.002");
        assert_eq!(millionths(0), "0");
        assert_eq!(millionths(12_500_000), "12.5");
        assert_eq!(millionths(i64::MIN), "-9223372036854.775808");
    }
}
