//! The fuzz targets: one function for each, which libFuzzer calls (`fuzz_targets/`) and so do the unit tests of byokd.
//!
//! Invariants: a target panics if and only if byokd breaks its promise. `cargo test fuzz_corpus` replays the corpus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    clippy::arithmetic_side_effects,
    clippy::nonminimal_bool,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a target fails by panicking, and is public for libFuzzer"
)]

pub mod audit_line;
pub mod base_url;
#[cfg(test)]
mod corpus;
pub mod envelope;
pub mod judge;
pub mod provider_answer;
pub mod request;
pub mod token;
