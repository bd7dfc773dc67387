//! The decision: whose key, which model, where, and who pays. One pure function, no IO.
//!
//! `ResolveCredentials`, `ExplainResolution` and `ListModels` use it, so they cannot disagree. The first match decides:
//!
//! 1. provider not configured → `PROVIDER_DISABLED`
//! 2. local provider → no credential, unmetered
//! 3. purpose is free → platform key, unmetered
//! 4. the platform pays for the purpose → platform key, credits
//! 5. toggle off → platform key, credits
//! 6. toggle on, no key → `BYO_KEY_MISSING`, **never the platform key**
//! 7. the key's endpoint is no longer allowed → `ENDPOINT_NO_LONGER_ALLOWED`
//! 8. the key is condemned → `BYO_KEY_REJECTED`
//! 9. the key cannot use the model → `MODEL_NOT_AVAILABLE`
//! 10. otherwise → the workspace's key, BYO
//!
//! Invariants: a key leaves here only inside a `Grant`, which also names the payer; with BYO on, a purpose that follows the
//! toggle never yields a platform key; no arm tries the other payer.
//!
//! Not here: caches, leases, secrets. `candidates` and `offers` show the decision to people; they decide nothing.

mod candidates;
mod decide;
mod decision;
mod facts;
mod keys;
mod model;
mod offers;
#[cfg(test)]
mod properties;
mod refusals;
#[cfg(test)]
mod which_model;
#[cfg(test)]
mod who_pays;
#[cfg(test)]
mod world;

pub use candidates::{Candidate, candidates};
pub use decide::{byo_pays, decide};
pub use decision::{BillingMode, Decision, Grant};
pub use facts::{Ask, Facts, Policy, UnknownWorkspace};
pub use keys::binding_allowed;
pub use model::{ModelRequest, agreed, usable};
pub use offers::{Offer, offers};
pub use refusals::{
    endpoint_no_longer_allowed, key_damaged, model_unknown, provider_disabled, provider_unknown,
    purpose_unknown,
};
