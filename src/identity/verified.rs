//! Callers that were verified before, so that a signature is checked once and not with each call.
//!
//! Invariants: what is kept is found by a keyed hash of the whole token and by the fingerprint of the whole certificate,
//! so one byte more or less is another caller; nothing is used after its token or certificate has expired, nor after the
//! keys that verified it have changed; the number of entries is bounded. No token is kept.
//!
//! The hash is SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012) under a random key of the process. The key never
//! leaves the process, so an attacker cannot search for a colliding token; a random collision has a chance of 2^-128. It
//! takes a tenth of the instructions of SHA-256 in software (docs/decisions/token-cache.md).
//!
//! Not here: refusals. A refused token is verified again.

use std::sync::Arc;

use quick_cache::sync::Cache;
use siphasher::sip128::SipHasher24;
use uuid::Uuid;

use super::Certificate;
use crate::domain::caller::Caller;

/// How many callers are kept; an entry takes some hundred bytes.
const MOST: usize = 16 * 1024;

/// What identifies a caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proof {
    token: Option<u128>,
    certificate: Option<[u8; 32]>,
}

/// A caller, and for how long it is one.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    /// Seconds since 1970.
    pub(super) until: i64,
    /// The issuer, by its place, and the generation of its keys.
    pub(super) keys: Option<(usize, u64)>,
}

/// The callers that were verified.
pub(super) struct VerifiedCallers {
    callers: Cache<Proof, Verified>,
    hasher: SipHasher24,
}

impl VerifiedCallers {
    pub(super) fn new() -> Self {
        // 122 bits of it are random.
        let key = Uuid::new_v4().into_bytes();
        Self {
            callers: Cache::new(MOST),
            hasher: SipHasher24::new_with_key(&key),
        }
    }

    /// What a caller shows.
    pub(super) fn proof(&self, token: Option<&str>, certificate: Option<&Certificate>) -> Proof {
        Proof {
            token: token.map(|token| self.hasher.hash(token.as_bytes()).as_u128()),
            certificate: certificate.map(|shown| *shown.fingerprint()),
        }
    }

    pub(super) fn find(&self, proof: &Proof, now: i64) -> Option<Verified> {
        self.callers.get(proof).filter(|found| now <= found.until)
    }

    pub(super) fn keep(&self, proof: Proof, verified: Verified) {
        self.callers.insert(proof, verified);
    }
}
