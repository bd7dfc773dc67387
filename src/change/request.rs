//! A request for a change: the RPC, the holder, the caller, and the fields that a retry must repeat.
//!
//! Invariants: the payload may hold an API key, so it is wiped, and only its HMAC leaves this room.
//!
//! Not here: finding the first result of a request id (`replay`).

use zeroize::Zeroizing;

use crate::domain::{
    caller::{Caller, Rpc},
    error::{Error, Reason},
    names::{OnBehalfOf, RequestId, Scope, WorkspaceId},
};

/// The fields that every change has.
#[derive(Clone, Debug, Default)]
pub struct ChangeMeta {
    /// A retry with the same id gets the first result.
    pub request_id: Option<RequestId>,
    /// Refuse the change at any other revision. 0: a holder that was never changed.
    pub expected_revision: Option<u64>,
    /// The product's end user.
    pub on_behalf_of: OnBehalfOf,
}

/// A request for a change.
pub struct ChangeRequest {
    pub(super) rpc: Rpc,
    pub(super) scope: Scope,
    pub(super) actor: String,
    pub(super) on_behalf_of: OnBehalfOf,
    pub(super) idempotency_key: Option<IdempotencyKey>,
    expected_revision: Option<u64>,
}

/// A request id and the payload it stands for.
pub(super) struct IdempotencyKey {
    pub(super) request_id: RequestId,
    pub(super) payload: Zeroizing<Vec<u8>>,
}

impl ChangeRequest {
    /// `fields` are the request's own fields, in a fixed order: a retry must repeat them.
    pub fn new(rpc: Rpc, scope: Scope, caller: &Caller, meta: ChangeMeta, fields: &[&str]) -> Self {
        let payload = meta.request_id.as_ref().map(|_| payload(&meta, fields));
        Self {
            rpc,
            scope,
            actor: caller.subject.clone(),
            idempotency_key: meta.request_id.zip(payload).map(|(request_id, payload)| {
                IdempotencyKey {
                    request_id,
                    payload,
                }
            }),
            on_behalf_of: meta.on_behalf_of,
            expected_revision: meta.expected_revision,
        }
    }

    /// `None`: the platform.
    pub(super) fn workspace(&self) -> Option<WorkspaceId> {
        match &self.scope {
            Scope::Workspace(id) => Some(id.clone()),
            Scope::Platform => None,
        }
    }

    /// Refuses a stale `expected_revision`: `REVISION_MISMATCH`.
    pub(super) fn check_revision(&self, revision: u64) -> Result<(), Error> {
        match self.expected_revision {
            Some(expected) if expected != revision => Err(Error::new(
                Reason::RevisionMismatch,
                format!(
                    "expected_revision is {expected}, but the current revision is {revision}; read again and retry"
                ),
            )
            .with("revision", revision.to_string())),
            _ => Ok(()),
        }
    }
}

/// Each field with its length before it, so that two requests never have the same bytes.
fn payload(meta: &ChangeMeta, fields: &[&str]) -> Zeroizing<Vec<u8>> {
    let revision = meta.expected_revision.map(|revision| revision.to_string());
    let last = [
        meta.on_behalf_of.as_str(),
        revision.as_deref().unwrap_or_default(),
    ];
    let all = || fields.iter().chain(&last);
    // Allocate once: a growing vector leaves copies of the API key behind.
    let length = all().map(|field| field.len().saturating_add(8)).sum();
    let mut payload = Zeroizing::new(Vec::with_capacity(length));
    for field in all() {
        payload.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        payload.extend(field.as_bytes());
    }
    payload
}
