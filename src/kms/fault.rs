//! Why the KMS did not do what it was asked for.
//!
//! Invariants: an outage is never reported as corruption nor the other way round: the first is retried, the second is
//! not. The text names KMS key, region, operation and what to do; it is for the operator and never holds a secret.
//!
//! Not here: what to do about it (`keyring`).

use std::{fmt, time::Duration};

use crate::domain::error::{Error, Reason};

/// After how long a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The closed list of what can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsFault {
    /// No answer, too late an answer, or "later".
    Outage,
    /// It refuses byokd: permissions, credentials, or what was asked for. Often a slip of a deployment.
    Denied,
    /// The KMS key is disabled, pending deletion or deleted.
    KeyState,
    /// The data key is damaged, was moved, or is under a KMS key that is not allowed.
    Corrupt,
}

impl KmsFault {
    /// Its name in metrics and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Denied => "denied",
            Self::KeyState => "key_state",
            Self::Corrupt => "corrupt",
        }
    }

    /// Whether a data key that is held may be used until the fault is over.
    pub fn is_outage_like(self) -> bool {
        match self {
            Self::Outage | Self::Denied => true,
            Self::KeyState | Self::Corrupt => false,
        }
    }
}

/// A call to the KMS that failed.
#[derive(Clone, Debug)]
pub struct KmsError {
    fault: KmsFault,
    text: String,
}

impl KmsError {
    pub(super) fn new(fault: KmsFault, text: impl Into<String>) -> Self {
        Self {
            fault,
            text: text.into(),
        }
    }

    pub(super) fn corrupt(text: impl Into<String>) -> Self {
        Self::new(KmsFault::Corrupt, text)
    }

    /// The same for a name: a name without a key is not a bad state of a key.
    pub(super) fn of_a_name(self) -> Self {
        match self.fault {
            KmsFault::KeyState => Self {
                fault: KmsFault::Denied,
                ..self
            },
            KmsFault::Outage | KmsFault::Denied | KmsFault::Corrupt => self,
        }
    }

    /// What kind of failure it is.
    pub fn fault(&self) -> KmsFault {
        self.fault
    }
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for KmsError {}

impl From<KmsError> for Error {
    fn from(error: KmsError) -> Self {
        match error.fault {
            KmsFault::Corrupt => Self::new(
                Reason::RecordCorrupt,
                "a data key is damaged, or was wrapped by another KMS key; inform the operator",
            ),
            KmsFault::Outage | KmsFault::Denied | KmsFault::KeyState => Self::new(
                Reason::KmsUnavailable,
                "the KMS does not unwrap the data key now; try again",
            )
            .retry_after(RETRY_AFTER),
        }
        .caused_by(error)
    }
}
