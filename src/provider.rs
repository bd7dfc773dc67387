//! Key checks: asks a provider about a key, and reads which models the key lists.
//!
//! Read `check` first: it is the recipe. `client` sends one probe of it; `rules` gives a refusal its meaning; `openai`
//! and `anthropic` are the two wire protocols.
//!
//! Invariants:
//! - A key goes to the base URL that it was given for and nowhere else: no redirect, no proxy, no private address that
//!   the operator did not allow. A key in another vendor's format goes nowhere at all.
//! - A check ends within its deadline, whatever the provider does.
//! - A provider's text never leaves this module. A [`CheckOutcome`] holds byokd's own words, model ids in a bounded
//!   alphabet, and at most a host name.
//! - Only definitive answers are verdicts on the key. Every other answer teaches nothing about it.
//!
//! Not here: storage and the choice of another host (`ops`), rate limits (`ops`), the catalog (`domain`).

mod anthropic;
mod check;
mod client;
mod formats;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod list;
mod openai;
mod outcome;
mod providers;
mod rules;
mod target;

pub use outcome::{CheckOutcome, ListOutcome};
pub use providers::{ProviderError, Providers};
pub use target::ProbeTarget;
