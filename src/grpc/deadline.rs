//! The deadline that a caller asks for.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The caller's deadline (gRPC over HTTP/2, `grpc-timeout`): up to 8 digits and a unit.
pub(super) fn requested(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            requested(&headers)
        };
        assert_eq!(read("1S"), Some(Duration::from_secs(1)));
        assert_eq!(
            read("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for bad in [
            "",
            "S",
            "1",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            "1s",
            "1 S",
            "0x1S",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
