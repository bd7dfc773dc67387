//! The one error of byokd: a stable reason, a sentence for the caller, and the cause for the operator.
//!
//! Invariants: `message`, `field` and `metadata` may leave the process, so they never hold a secret, a provider's text,
//! or anything of the database; `cause` never leaves it and is logged once, where the error turns into a status.
//! A reason is part of the contract: it is never renamed.
//!
//! Not here: gRPC codes. `grpc/status` maps each reason to one.

use std::{error::Error as StdError, fmt, time::Duration};

use super::names::Malformed;

/// What went wrong, as callers branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each reason is explained in the README's table of errors"
)]
pub enum Reason {
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
}

impl Reason {
    /// The reason as it stands in `google.rpc.ErrorInfo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldInvalid => "FIELD_INVALID",
            Self::ProviderUnknown => "PROVIDER_UNKNOWN",
            Self::PurposeUnknown => "PURPOSE_UNKNOWN",
            Self::KeyMalformed => "KEY_MALFORMED",
            Self::KeyWrongKind => "KEY_WRONG_KIND",
            Self::KeyRejected => "KEY_REJECTED",
            Self::BaseUrlNotAllowed => "BASE_URL_NOT_ALLOWED",
            Self::ModelUnknown => "MODEL_UNKNOWN",
            Self::KeyNotFound => "KEY_NOT_FOUND",
            Self::WorkspaceUnknown => "WORKSPACE_UNKNOWN",
            Self::ByoKeyMissing => "BYO_KEY_MISSING",
            Self::ByoKeyRejected => "BYO_KEY_REJECTED",
            Self::ModelNotAvailable => "MODEL_NOT_AVAILABLE",
            Self::PlatformKeyMissing => "PLATFORM_KEY_MISSING",
            Self::PlatformKeyRejected => "PLATFORM_KEY_REJECTED",
            Self::ProviderDisabled => "PROVIDER_DISABLED",
            Self::EndpointNoLongerAllowed => "ENDPOINT_NO_LONGER_ALLOWED",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::RevisionMismatch => "REVISION_MISMATCH",
            Self::RateLimited => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::CredentialsMissing => "CREDENTIALS_MISSING",
            Self::CredentialsInvalid => "CREDENTIALS_INVALID",
            Self::RoleRequired => "ROLE_REQUIRED",
            Self::WorkspaceMismatch => "WORKSPACE_MISMATCH",
            Self::PurposeNotGranted => "PURPOSE_NOT_GRANTED",
            Self::ProviderUnreachable => "PROVIDER_UNREACHABLE",
            Self::KmsUnavailable => "KMS_UNAVAILABLE",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::RecordCorrupt => "RECORD_CORRUPT",
            Self::Internal => "INTERNAL",
            Self::NotImplementedYet => "NOT_IMPLEMENTED_YET",
        }
    }
}

/// A failure on its way to the caller.
pub struct Error(Box<Parts>);

struct Parts {
    reason: Reason,
    message: String,
    field: Option<&'static str>,
    metadata: Vec<(&'static str, String)>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure with a sentence that says what failed, for which value, and how to fix it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            reason,
            message: message.into(),
            field: None,
            metadata: Vec::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// A field of the request that has the wrong form: `FIELD_INVALID`.
    pub fn field(field: &'static str, malformed: Malformed) -> Self {
        Self::new(Reason::FieldInvalid, format!("{field} {malformed}")).in_field(field)
    }

    /// A failure of byokd itself. The caller sees a fixed text; the cause is for the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            Reason::Internal,
            "byokd failed; its operator finds the cause under the trace id",
        )
        .caused_by(cause)
    }

    /// Names the field of the request that is to blame.
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.0.field = Some(field);
        self
    }

    /// Adds a fact for programs, e.g. the verdict.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// Says that a retry helps, and after how long.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Keeps the cause for the log.
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same failure for another caller that waited for the same operation. An outage keeps its cause with the first
    /// caller only, so that the log has it once.
    pub fn repeated(&self) -> Self {
        let parts = &self.0;
        let outage = matches!(
            parts.reason,
            Reason::StoreUnavailable | Reason::KmsUnavailable
        );
        let cause = parts.cause.as_ref().filter(|_| !outage);
        Self(Box::new(Parts {
            reason: parts.reason,
            message: parts.message.clone(),
            field: parts.field,
            metadata: parts.metadata.clone(),
            retry_after: parts.retry_after,
            cause: cause.map(|cause| cause.to_string().into()),
        }))
    }

    /// What went wrong, for programs.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field of the request that is to blame, if one is.
    pub fn blamed_field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// Facts for programs.
    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.0.metadata
    }

    /// After how long a retry helps, if it does.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The cause, for the log only.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason.as_str(), self.0.message)?;
        match &self.0.cause {
            Some(cause) => write!(f, " (cause: {cause})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {}
