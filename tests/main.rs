//! The one black-box test binary: real sockets, and no access to the inside of byokd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    missing_docs,
    reason = "a test fails by panicking, and its names are its documentation"
)]

mod audit;
mod auth;
mod canary;
mod demo;
mod docs;
mod house;
mod lifecycle;
mod production;
mod providers;
mod resilience;
mod rpc;
mod services;
mod soak;
mod store;
mod support;
mod telemetry;
