//! The key check: test a key with its provider, and decide whether it may be stored.
//!
//! Invariants:
//! - Limits are counted before the provider is called, and a bounded number of key checks runs at once.
//! - A new key is checked before it replaces another.
//! - No text of a provider reaches the caller.
//!
//! Not here: the probes (`provider`), the health of a stored key (`domain::health`).

mod checked_key;
mod checker;
mod limits;
mod new_key;
mod storable;

pub use checked_key::{CheckedKey, KeyProposal};
pub use checker::{KeyCheck, KeyChecker, models_learnt};
pub use limits::{CheckLimiter, CheckLimits};
pub use new_key::NewKey;
