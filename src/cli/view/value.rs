//! Single values: enum names, moments, durations and amounts, as people read them.
//!
//! Absent: local time. What is shown can be compared with the server's log.

use prost_types::{Duration, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The prefixes that the contract's enum names carry.
const PREFIXES: [&str; 4] = ["BADGE_", "VERDICT_", "BILLING_MODE_", "KEY_SOURCE_"];

/// An enum name without its prefix; nothing for a value that says nothing.
pub(in super::super) fn short(name: &str) -> String {
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    match bare.unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        bare => bare.to_owned(),
    }
}

/// A point in time; none if absent or beyond what a calendar holds.
pub(in super::super) fn moment(timestamp: Option<Timestamp>) -> Option<OffsetDateTime> {
    let timestamp = timestamp?;
    let nanos = u32::try_from(timestamp.nanos).ok()?;
    let second = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    second.replace_nanosecond(nanos).ok()
}

/// The older of two moments; an absent one does not count.
pub(in super::super) fn older(
    one: Option<OffsetDateTime>,
    other: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    one.into_iter().chain(other).min()
}

/// A moment to the second; nothing if it is absent.
pub(in super::super) fn when(at: Option<OffsetDateTime>) -> String {
    at.and_then(|at| at.replace_nanosecond(0).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A duration as the contract's JSON has it, e.g. "60s"; nothing if it is absent.
pub(in super::super) fn seconds(duration: Option<Duration>) -> String {
    duration
        .map(|duration| duration.to_string())
        .unwrap_or_default()
}

/// Millionths as a decimal number without superfluous zeros.
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
    fn moments_and_durations() {
        let at = |seconds, nanos| moment(Some(Timestamp { seconds, nanos }));
        assert_eq!(when(at(1_700_000_000, 999_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(when(at(i64::MAX, 0)), "");
        assert_eq!(when(at(0, -1)), "");
        assert_eq!(older(at(2, 0), None), at(2, 0));
        assert_eq!(older(at(2, 0), at(1, 0)), at(1, 0));
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
