//! byokd: whose key, which model, where, and who pays.
//!
//! # Bird's eye
//!
//! A product's customers bring their own keys of LLM providers. byokd stores them sealed, and answers on every LLM call
//! whose key it is made with, which model it goes to, where that is, and who pays. Credential and payer are one answer.
//!
//! # The road of a request
//!
//! - [`transport`] accepts the connection; [`grpc`] admits the caller, parses the message, and turns answers and errors
//!   into messages and statuses;
//! - [`identity`] tells who calls;
//! - [`ops`] holds one file for each RPC, named like it, which reads like a recipe;
//! - [`workspace_cache`] has the workspaces in memory, fresh; [`keyring`] the data keys; [`provider`] makes test calls, through
//!   [`egress`]; [`audit`] puts on record what happened;
//! - [`store`] holds every query; [`kms`] wraps data keys;
//! - [`domain`] is pure: names, catalog, the decision, verdicts, the sealed record.
//!
//! [`server`] wires all of it, [`config`] says how, [`admin`] is the port for those who watch, [`telemetry`] what the
//! operator reads, [`process`] what the system may show of all this: nothing. [`cli`] is the command line; it runs a
//! server or speaks to one through [`client`]. [`contract`] is what both ends speak.
//!
//! # Invariants
//!
//! - Imports point one way: `cli` → `server`, `client`; `transport` → `identity`; `grpc` → `identity`, `ops`; `ops` →
//!   `workspace_cache`, `keyring`, `audit`, `provider` → `egress`, `store`, `kms` → `domain`. Whoever has something to tell
//!   may know `telemetry`, which knows nobody. A test reads the sources and checks it.
//! - sea-orm and sqlx are named in `store` only, the AWS SDK in `kms` only, reqwest in `egress`, `provider`
//!   and `identity` only, rustls in `transport` only, OpenTelemetry in `telemetry` only, tonic in `grpc`, `server`,
//!   `admin`, `client` and the contract only.
//! - With BYO on, a call that follows the toggle never gets the platform's key. There is no fallback to switch on.
//! - A provider key is in the clear while it is tested, sealed or handed out, and nowhere else. No type that holds one
//!   can be printed.
//! - Nothing that comes from outside can make the process panic; lints forbid what could.
//!
//! # Absent
//!
//! byokd makes no LLM call for anybody: it hands out what a caller needs to make its own. It meters nothing: it says
//! what a call costs.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        reason = "a test fails by panicking"
    )
)]

pub mod admin;
pub mod audit;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod domain;
pub mod egress;
pub mod grpc;
pub mod identity;
pub mod keyring;
pub mod kms;
pub mod ops;
mod private_file;
pub mod process;
pub mod provider;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod workspace_cache;

// The fuzz targets name byokd as any other crate does.
#[cfg(test)]
extern crate self as byokd;
#[cfg(test)]
#[path = "../fuzz/lib.rs"]
mod fuzz_corpus;
