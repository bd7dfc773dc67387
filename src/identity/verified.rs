//! Callers that were verified before, so that a signature is checked once and not with each call.
//!
//! Invariants: what is kept is found by a hash over the whole token and the whole certificate, so one byte more or less
//! is another caller; nothing is used after its token or certificate has expired, nor after the keys that verified it
//! have changed; the number of entries is bounded. No token is kept.
//!
//! Absent: refusals. A token that was refused is looked at anew.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use quick_cache::sync::Cache;

use super::Certificate;
use crate::domain::principal::Principal;

/// How many callers are kept; an entry takes some hundred bytes.
const MOST: usize = 16 * 1024;

/// What identifies a caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proof([u8; 32]);

impl Proof {
    /// Over both, each with its length.
    pub(super) fn of(token: Option<&str>, certificate: Option<&Certificate>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [token.map(str::as_bytes), certificate.map(|shown| shown.fingerprint().as_slice())] {
            let part = part.unwrap_or_default();
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

/// A caller, and for how long it is one.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) principal: Arc<Principal>,
    /// Seconds since 1970.
    pub(super) until: i64,
    /// The issuer, by its place, and the generation of its keys.
    pub(super) keys: Option<(usize, u64)>,
}

/// The callers that were verified.
pub(super) struct VerifiedCallers(Cache<Proof, Verified>);

impl VerifiedCallers {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    pub(super) fn find(&self, proof: &Proof, now: i64) -> Option<Verified> {
        self.0.get(proof).filter(|found| now <= found.until)
    }

    pub(super) fn keep(&self, proof: Proof, verified: Verified) {
        self.0.insert(proof, verified);
    }
}
