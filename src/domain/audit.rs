//! What is remembered of a change: who did it, on whose behalf, and what it was before and after.
//!
//! Invariants: built from fields named one by one, never from a whole request, so that no secret can slip in; a key
//! appears masked. The store writes it in the change's own transaction.
//!
//! Absent: refused attempts and resolves, which change nothing.

use serde_json::Value;

use super::{
    names::{OnBehalfOf, ProviderName, RequestId},
    principal::Rpc,
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
