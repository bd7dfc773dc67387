//! The one place where an error becomes a status.
//!
//! Invariants: every reason has one code, and the list has no wildcard, so that a new reason does not compile until it
//! has a code. A cause is logged here, once, and never sent; those of
//! unauthenticated callers are logged sparingly. What is byokd's own fault is answered with a fixed text
//! and a trace id that stands in the log, too.
//!
//! Not here: statuses that the transport makes itself; they carry no reason.

use std::{collections::HashMap, sync::Arc};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    domain::{
        caller::Rpc,
        error::{Error, Reason},
    },
    identity::may_log_refusal,
    telemetry::trace,
};

const DOMAIN: &str = "byokd";

/// The status of an error in this RPC.
pub(super) fn of(error: Error, rpc: Rpc) -> Status {
    let (code, reason) = (code(error.reason()), error.reason().as_str());
    let mut metadata: HashMap<String, String> = error
        .metadata()
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    if let Some(cause) = error.cause() {
        let trace_id = trace::id();
        match code {
            Code::Unauthenticated if !may_log_refusal() => {}
            Code::Unauthenticated => {
                tracing::info!(
                    rpc = rpc.as_str(),
                    reason,
                    cause,
                    trace_id,
                    "caller refused"
                )
            }
            Code::Internal | Code::DataLoss => {
                tracing::error!(rpc = rpc.as_str(), reason, cause, trace_id, "call failed");
            }
            _ => tracing::warn!(rpc = rpc.as_str(), reason, cause, trace_id, "call failed"),
        }
        metadata.insert("trace_id".to_owned(), trace_id);
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, metadata);
    if let Some(field) = error.blamed_field() {
        details.add_bad_request_violation(field, error.message());
    }
    if let Some(delay) = error.retry_delay() {
        details.set_retry_info(Some(delay));
    }
    let mut status = Status::with_error_details(code, error.message(), details);
    status.set_source(Arc::new(Because(reason)));
    status
}

/// The reason of a status, for who measures; it stays in this process.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Because(pub(super) &'static str);

fn code(reason: Reason) -> Code {
    match reason {
        Reason::FieldInvalid
        | Reason::ProviderUnknown
        | Reason::PurposeUnknown
        | Reason::KeyMalformed
        | Reason::KeyWrongKind
        | Reason::KeyRejected
        | Reason::BaseUrlNotAllowed => Code::InvalidArgument,
        Reason::ModelUnknown | Reason::KeyNotFound | Reason::WorkspaceUnknown => Code::NotFound,
        Reason::ByoKeyMissing
        | Reason::ByoKeyRejected
        | Reason::ModelNotAvailable
        | Reason::PlatformKeyMissing
        | Reason::PlatformKeyRejected
        | Reason::ProviderDisabled
        | Reason::EndpointNoLongerAllowed => Code::FailedPrecondition,
        Reason::RequestIdReused => Code::AlreadyExists,
        Reason::RevisionMismatch => Code::Aborted,
        Reason::RateLimited | Reason::Overloaded => Code::ResourceExhausted,
        Reason::CredentialsMissing | Reason::CredentialsInvalid => Code::Unauthenticated,
        Reason::RoleRequired | Reason::WorkspaceMismatch | Reason::PurposeNotGranted => {
            Code::PermissionDenied
        }
        Reason::ProviderUnreachable
        | Reason::KmsUnavailable
        | Reason::StoreUnavailable
        | Reason::AuditUnavailable => Code::Unavailable,
        Reason::RecordCorrupt => Code::DataLoss,
        Reason::Internal => Code::Internal,
        Reason::NotImplementedYet => Code::Unimplemented,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRORS: &str = include_str!("../../docs/errors.md");

    /// The code of a reason in the table of `docs/errors.md`. An empty cell repeats the code above it.
    fn promised(reason: Reason) -> String {
        let mut code = String::new();
        for line in ERRORS.lines() {
            let cells: Vec<&str> = line.split('|').collect();
            if let [_, of, why, ..] = cells.as_slice() {
                code = if of.trim().is_empty() {
                    code
                } else {
                    of.replace(['`', ' ', '_'], "")
                };
                if why.contains(&format!("`{}`", reason.as_str())) {
                    return code;
                }
            }
        }
        panic!("{reason:?} is not in the table");
    }

    #[test]
    fn every_reason_has_the_documented_code() {
        use Reason::*;
        for reason in [
            FieldInvalid,
            ProviderUnknown,
            PurposeUnknown,
            KeyMalformed,
            KeyWrongKind,
            KeyRejected,
            BaseUrlNotAllowed,
            ModelUnknown,
            KeyNotFound,
            WorkspaceUnknown,
            ByoKeyMissing,
            ByoKeyRejected,
            ModelNotAvailable,
            PlatformKeyMissing,
            PlatformKeyRejected,
            ProviderDisabled,
            EndpointNoLongerAllowed,
            RequestIdReused,
            RevisionMismatch,
            RateLimited,
            Overloaded,
            CredentialsMissing,
            CredentialsInvalid,
            RoleRequired,
            WorkspaceMismatch,
            PurposeNotGranted,
            ProviderUnreachable,
            KmsUnavailable,
            StoreUnavailable,
            AuditUnavailable,
            RecordCorrupt,
            Internal,
            NotImplementedYet,
        ] {
            assert_eq!(
                format!("{:?}", code(reason)).to_uppercase(),
                promised(reason),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn a_cause_is_not_told_but_found_by_its_trace_id() {
        for reason in [
            Reason::Internal,
            Reason::StoreUnavailable,
            Reason::CredentialsInvalid,
        ] {
            let status = of(Error::new(reason, "text").caused_by("CANARY"), Rpc::SetKey);
            let metadata = status.get_details_error_info().unwrap().metadata;
            assert_eq!(metadata.keys().collect::<Vec<_>>(), ["trace_id"]);
            assert!(!String::from_utf8_lossy(status.details()).contains("CANARY"));
            assert_eq!(status.message(), "text");
        }
    }
}
