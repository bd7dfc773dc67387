//! Audit rows and usage counts as messages: time ranges, pages, events and counts.
//!
//! Invariants: a page token holds the place of a row and nothing secret; one that byokd would not have given is
//! `FIELD_INVALID`, like a range that ends before it begins.
//!
//! Not here: whose record it is. The workspace is checked with every page.

use prost_types::Timestamp;
use time::OffsetDateTime;

use super::{answer, parse};
use crate::{
    contract::v1,
    domain::{
        audit::{KeyUsage, RecordedEvent, TimeRange},
        error::Error,
        names::ProviderName,
    },
    ops::{AuditPage, UsagePage, UsagePlace},
};

const FOREIGN: &str = "is not one that this RPC gave";

/// From when, and until before when.
pub(super) fn range(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<TimeRange, Error> {
    let range = TimeRange {
        start: moment("start_time", start)?,
        end: moment("end_time", end)?,
    };
    match (range.start, range.end) {
        (Some(start), Some(end)) if end < start => {
            Err(Error::field("end_time", "must not be before start_time"))
        }
        _ => Ok(range),
    }
}

fn moment(
    field: &'static str,
    timestamp: Option<Timestamp>,
) -> Result<Option<OffsetDateTime>, Error> {
    let Some(timestamp) = timestamp else {
        return Ok(None);
    };
    let second = OffsetDateTime::from_unix_timestamp(timestamp.seconds)
        .ok()
        .filter(|at| at.year() > 0);
    let nanos = u32::try_from(timestamp.nanos).ok();
    let moment = second
        .zip(nanos)
        .and_then(|(second, nanos)| second.replace_nanosecond(nanos).ok());
    moment
        .map(Some)
        .ok_or_else(|| Error::field(field, "must be a time of the years 1 to 9999"))
}

/// How many changes, and after which revision.
pub(super) fn audit_page(size: u32, token: &str) -> Result<(usize, u64), Error> {
    let size = parse::page_size(size)?;
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    match (token, token.parse()) {
        ("", _) => Ok((size, 0)),
        (_, Ok(revision)) if digits => Ok((size, revision)),
        _ => Err(Error::field("page_token", FOREIGN)),
    }
}

/// How many counts, and after which row.
pub(super) fn usage_page(size: u32, token: &str) -> Result<(usize, Option<UsagePlace>), Error> {
    let size = parse::page_size(size)?;
    if token.is_empty() {
        return Ok((size, None));
    }
    place(token)
        .map(|place| (size, Some(place)))
        .ok_or_else(|| Error::field("page_token", FOREIGN))
}

/// `hour.generation.caller.provider`; the caller's name may hold anything and stands in hexadecimal digits.
fn token((hour, provider, generation, caller): &UsagePlace) -> String {
    let caller: String = caller.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{}.{generation}.{caller}.{provider}", hour.unix_timestamp())
}

fn place(token: &str) -> Option<UsagePlace> {
    let mut parts = token.splitn(4, '.');
    let hour = OffsetDateTime::from_unix_timestamp(parts.next()?.parse().ok()?).ok()?;
    let generation = parts
        .next()?
        .parse()
        .ok()
        .filter(|generation| i64::try_from(*generation).is_ok())?;
    let digits: Vec<u8> = parts
        .next()?
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    let caller = pairs
        .map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit))
        .collect();
    // PostgreSQL holds no text with a zero byte, so no row has one.
    let caller = String::from_utf8(caller)
        .ok()
        .filter(|caller| whole && !caller.contains('\0'))?;
    let provider = parts
        .next()
        .filter(|name| ProviderName::parse(name).is_ok())?;
    Some((hour, provider.to_owned(), generation, caller)).filter(|(hour, ..)| hour.year() > 0)
}

/// A page of changes: events, and the token of the next page.
pub(super) fn events(page: AuditPage) -> (Vec<v1::AuditEvent>, String) {
    let next = page
        .next
        .map(|revision| revision.to_string())
        .unwrap_or_default();
    (page.events.into_iter().map(event).collect(), next)
}

fn event(event: RecordedEvent) -> v1::AuditEvent {
    v1::AuditEvent {
        event_id: event.event_id.to_string(),
        at: Some(answer::timestamp(event.at)),
        actor: event.actor,
        on_behalf_of: event.on_behalf_of,
        action: event.action,
        provider: event.provider,
        before: event.before,
        after: event.after,
        verdict: event
            .verdict
            .map_or(v1::Verdict::Unspecified, answer::verdict)
            .into(),
        request_id: event.request_id,
        revision: event.revision,
    }
}

/// A page of counts.
pub(super) fn usage(page: UsagePage) -> v1::ListKeyUsageResponse {
    v1::ListKeyUsageResponse {
        usage: page.usage.into_iter().map(count).collect(),
        next_page_token: page.next.as_ref().map(token).unwrap_or_default(),
    }
}

fn count(usage: KeyUsage) -> v1::KeyUsage {
    v1::KeyUsage {
        provider: usage.provider,
        generation: usage.generation,
        caller: usage.caller,
        hour: Some(answer::timestamp(usage.hour)),
        handed_out: usage.handed_out,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_place_is_what_its_token_says() {
        let row = (
            datetime!(2030-06-15 12:00 UTC),
            "openai.eu".to_owned(),
            7,
            "spiffe://a/ü.1".to_owned(),
        );
        assert_eq!(place(&token(&row)), Some(row));
        for bad in [
            "x",
            "1",
            "1.2",
            "1.2.3",
            "1.2.3.openai",
            "1.2.zz.openai",
            "1.-2.00.openai",
            "1.2.00.openai",
            "99999999999999.2.61.openai",
            "1.2.61.",
            "1.2.ff.openai",
        ] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }
}
