//! Failures of connections and calls, converted from the transport's types to plain values.
//!
//! A refusal by byokd has a stable reason, field violations and a retry delay. A failure of the transport has its
//! deepest cause instead.
//!
//! Not here: advice that names a command or an option (`cli`), and retries.

use std::{collections::BTreeMap, error::Error, time::Duration};

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

use super::{
    address::{AddressError, ServerAddress},
    bearer::CALL_DEADLINE,
    tls::TlsError,
    token::TokenError,
};
use crate::contract::code_name;

/// The connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is unusable.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The TLS files are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No server listens at the address.
    #[error("no byokd answers at {server} ({cause})")]
    Unreachable {
        /// The address.
        server: String,
        /// The network's error.
        cause: String,
    },
}

impl ConnectError {
    pub(super) fn unreachable(server: &ServerAddress, error: &(dyn Error + 'static)) -> Self {
        Self::Unreachable {
            server: server.as_str().to_owned(),
            cause: innermost(error).to_string(),
        }
    }
}

/// The server refused a call, or sent no answer.
#[derive(Clone, Debug)]
pub struct CallError {
    /// The name of the gRPC status code, e.g. `INVALID_ARGUMENT`.
    pub code: &'static str,
    /// The stable reason of the contract. Absent: the status is not byokd's.
    pub reason: Option<String>,
    /// The message for people.
    pub message: String,
    /// The metadata of the reason, e.g. the verdict.
    pub metadata: BTreeMap<String, String>,
    /// The malformed fields of the request.
    pub field_violations: Vec<FieldViolation>,
    /// The delay after which a retry may help. Absent: the server named none.
    pub retry_after: Option<Duration>,
}

/// A malformed field of the request.
#[derive(Clone, Debug)]
pub struct FieldViolation {
    /// The field's name.
    pub field: String,
    /// Its fault.
    pub description: String,
}

impl CallError {
    pub(super) fn read(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let fields = details
            .bad_request()
            .map(|bad| bad.field_violations.as_slice());
        // Only a status of this side's transport has a source.
        let (code, message) = match status.source() {
            Some(cause) => local(status.code(), cause),
            None => (status.code(), status.message().to_owned()),
        };
        Self {
            code: code_name(code),
            reason: info.map(|info| info.reason.clone()),
            message,
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            field_violations: fields
                .unwrap_or_default()
                .iter()
                .map(|violation| FieldViolation {
                    field: violation.field.clone(),
                    description: violation.description.clone(),
                })
                .collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

/// Corrects the transport's codes: it reports its own deadline as "cancelled" and a broken connection as "unknown".
fn local(code: Code, cause: &(dyn Error + 'static)) -> (Code, String) {
    let deepest = innermost(cause);
    if deepest.is::<TimeoutExpired>() {
        let limit = CALL_DEADLINE.as_secs();
        return (
            Code::DeadlineExceeded,
            format!("no answer came within {limit} s"),
        );
    }
    let code = if code == Code::Unknown {
        Code::Unavailable
    } else {
        code
    };
    (code, format!("no answer came: {deepest}"))
}

/// The innermost error, because the transport's outer ones only say "transport error".
pub(super) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn reads_the_details_of_a_status() {
        let mut details =
            ErrorDetails::with_error_info("RATE_LIMITED", "byokd", [("limit".into(), "60".into())]);
        details
            .set_retry_info(Some(Duration::from_millis(1500)))
            .add_bad_request_violation("provider", "is not known");
        let error = CallError::read(&Status::with_error_details(
            Code::ResourceExhausted,
            "too many",
            details,
        ));
        assert_eq!(
            (error.code, error.message.as_str()),
            ("RESOURCE_EXHAUSTED", "too many")
        );
        assert_eq!(error.reason.as_deref(), Some("RATE_LIMITED"));
        assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(error.metadata.get("limit").map(String::as_str), Some("60"));
        assert_eq!(
            error
                .field_violations
                .first()
                .map(|problem| problem.field.as_str()),
            Some("provider")
        );
    }
}
