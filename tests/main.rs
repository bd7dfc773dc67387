//! The one black-box test binary: real sockets, no knowledge of the inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test fails by panicking, and its names are its documentation"
)]

mod access;
mod freshness;
mod house;
mod main_road;
mod providers;
mod readme;
mod support;
mod watching;
