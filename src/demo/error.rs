//! Why a demo does not start: a sentence for the person who starts it.
//!
//! Not here: errors of the server itself (`server::StartError`).

/// Why a demo does not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DemoError(pub(super) String);

impl DemoError {
    /// The error of a failed step, with its cause.
    pub(super) fn new(step: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{step}: {cause}"))
    }
}
