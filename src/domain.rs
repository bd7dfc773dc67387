//! The pure part of byokd: names, rules and formats. No IO.
//!
//! Invariants: no IO, no async, no clock of its own (time is passed in), and no import from the rest of the crate.
//! A name is parsed once, at the edge, into a type whose fields are private; what holds such a value may trust it.
//!
//! Not here: anything that knows gRPC, SQL, HTTP or a KMS.

pub mod admitted;
pub mod audit;
pub mod caller;
pub mod catalog;
pub mod change;
pub mod clock;
pub mod envelope;
pub mod error;
pub mod health;
pub mod kms_key;
pub mod models;
pub mod names;
pub mod protocol;
pub mod resolution;
pub mod rule;
pub mod secret;
pub mod selections;
pub mod verdict;
pub mod workspace;
