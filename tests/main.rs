//! The one black-box test binary: real sockets, no knowledge of the inside.
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

mod access;
mod admission;
mod audit;
mod bad_input;
mod canary;
mod cancel;
mod certificates;
mod check_as;
mod concurrency;
mod crash;
mod explain;
mod freshness;
mod healthcheck;
mod hostile_provider;
mod house;
mod issuers;
mod kept;
mod life;
mod limits;
mod main_road;
mod matrix;
mod models;
mod process;
mod production;
mod providers;
mod readme;
mod retries;
mod selection;
mod services;
mod set_key;
mod sqlite;
mod ssrf;
mod startup;
mod support;
mod tamper;
mod telemetry;
mod tombstones;
mod verify;
mod watching;
