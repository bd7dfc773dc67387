//! `byokd serve --demo`: a provider with made-up accounts on loopback, for trying byokd without any account.
//!
//! Read `launch` first. `keys.toml` holds the accounts and the vendors' answers; `openai` and `anthropic` hold the
//! successful answers of the two wire protocols; `walk.txt` holds the commands of the two-minute walk.
//!
//! Invariants:
//! - A demo uses no database, KMS, catalog or audit file of an operator: `settings` rejects every setting but the
//!   listeners and the log.
//! - It listens on loopback only, and so does its provider.
//! - Its data folder is its own, and is emptied at the start and at the end.
//!
//! Not here: delays, broken bodies and request counters; the tests have their own provider for these
//! (`tests/support/fake_provider.rs`).

mod accounts;
pub mod anthropic;
mod catalog;
mod error;
mod folder;
mod keys;
mod launch;
pub mod openai;
mod settings;
mod vendor;
mod walk;

pub use error::DemoError;
pub use keys::{DemoKey, demo_keys};
pub use launch::Demo;
pub use walk::{Banner, Step, steps};
