//! Audit rows of changes, and usage counts of keys.
//!
//! Invariants: built from fields named one by one, never from a whole request, so that no secret can slip in; a key
//! appears masked. The store writes a change in its own transaction.
//!
//! Not here: refused attempts and resolves, which change nothing; they are lines of the audit stream (`audit`).

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    caller::Rpc,
    names::{OnBehalfOf, ProviderName, RequestId, WorkspaceId},
    verdict::Verdict,
};

/// One change, as it is remembered.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// The subject of the caller.
    pub actor: String,
    /// The product's end user, as the caller asserted it.
    pub on_behalf_of: OnBehalfOf,
    /// What was called.
    pub action: Rpc,
    /// The provider concerned, if one is.
    pub provider: Option<ProviderName>,
    /// What was before; `Null`: nothing.
    pub before: Value,
    /// What is after; `Null`: nothing.
    pub after: Value,
    /// The verdict that the change rests on.
    pub verdict: Option<Verdict>,
    /// The change's request id.
    pub request_id: Option<RequestId>,
}

/// One change, as it is read again. Names are as they were written, also by another version.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Names it.
    pub event_id: Uuid,
    /// When.
    pub at: OffsetDateTime,
    /// The subject of the caller.
    pub actor: String,
    /// The product's end user, as the caller asserted it; empty: not said.
    pub on_behalf_of: String,
    /// What was called.
    pub action: String,
    /// The provider concerned; empty: none.
    pub provider: String,
    /// What was before, as JSON; empty: nothing.
    pub before: String,
    /// What is after, as JSON; empty: nothing.
    pub after: String,
    /// The verdict that the change rests on.
    pub verdict: Option<Verdict>,
    /// The change's request id; empty: none.
    pub request_id: String,
    /// The revision that it made.
    pub revision: u64,
}

/// From when, and until before when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// `None`: from the oldest.
    pub start: Option<OffsetDateTime>,
    /// `None`: to the newest.
    pub end: Option<OffsetDateTime>,
}

/// A workspace's key that is handed out.
#[derive(Clone, Copy, Debug)]
pub struct HandedOut<'a> {
    /// Whose it is.
    pub workspace: &'a WorkspaceId,
    /// Its provider.
    pub provider: &'a ProviderName,
    /// Its generation.
    pub generation: u64,
    /// The subject of the caller.
    pub caller: &'a str,
}

/// How often a caller was handed a key in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Its provider.
    pub provider: String,
    /// Its generation.
    pub generation: u64,
    /// The subject of the caller.
    pub caller: String,
    /// The beginning of the hour.
    pub hour: OffsetDateTime,
    /// How often.
    pub handed_out: u64,
}

impl KeyUsage {
    /// Its place among all.
    pub fn place(&self) -> (&str, OffsetDateTime, &str, u64, &str) {
        (
            self.workspace.as_str(),
            self.hour,
            &self.provider,
            self.generation,
            &self.caller,
        )
    }
}

/// The MAC of a line of the audit stream.
pub type Mac = [u8; 32];

/// How far a chain of the audit stream had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the chain.
    pub chain_id: Uuid,
    /// When it began.
    pub opened_at: OffsetDateTime,
    /// How many lines it had.
    pub count: u64,
    /// The MAC of the last of them.
    pub head: Mac,
    /// When that was.
    pub at: OffsetDateTime,
    /// It has no more lines.
    pub closed: bool,
}
