//! byokd: whose key, which model, where, and who pays.
//!
//! Customers of a product bring their own keys of LLM providers. byokd stores the keys sealed. On every LLM call it
//! answers whose key to use, which model, which endpoint, and who pays. Credential and payer are one answer.
//!
//! # The journey of a request
//!
//! - [`transport`] accepts the connection. [`grpc`] admits the caller, parses the message, and turns answers and errors
//!   into messages and statuses.
//! - [`identity`] authenticates the caller.
//! - [`ops`] has one file for each RPC, named like it, over one [`app_state`]. [`change`] is the road of every change,
//!   [`key_check`] the check of a key, [`view`] the answers.
//! - [`workspace_cache`] has the workspaces in memory, [`keyring`] the data keys. [`provider`] checks keys through
//!   [`egress`]. [`audit`] records changes, resolves and refusals.
//! - [`store`] has every query; [`kms`] wraps data keys.
//! - [`domain`] is pure: names, catalog, the decision, verdicts, the sealed record.
//!
//! [`server`] wires the parts from a [`config`]. [`admin`] serves probes and metrics, [`telemetry`] records metrics, traces
//! and logs, [`process`] protects the process memory. [`cli`] is the command line: it runs a server, or calls one through
//! [`client`]. [`demo`] is the provider of `byokd serve --demo`. [`contract`] is the generated code that both ends use.
//! `docs/architecture.md` follows three journeys.
//!
//! # Invariants
//!
//! - Imports point one way: `cli` → `server`, `client`, `demo`; `transport` → `identity`; `grpc` → `identity`, `ops`; `ops` →
//!   `workspace_cache`, `keyring`, `audit`, `provider` → `egress`, `store`, `kms` → `domain`. Most rooms may import
//!   `telemetry`, which imports `config` only. A test reads the sources and checks it.
//! - Each library has its rooms: sea-orm and sqlx `store`; the AWS SDK `kms`; reqwest `egress`, `provider` and
//!   `identity`; rustls `transport`; OpenTelemetry `telemetry`; tonic `grpc`, `server`, `admin`, `client`, `contract`.
//! - With BYO on, a call that follows the toggle never gets the platform key. No setting changes that.
//! - A provider key is in the clear only during a key check, while it is sealed, and in the answer of a resolve. No type
//!   that holds one can be printed.
//! - No input can make the process panic; lints forbid the constructs that could.
//!
//! # Not here
//!
//! byokd makes no LLM call for its callers and meters none. It reports the charge of a call.

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
pub mod app_state;
pub mod audit;
pub mod change;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod demo;
pub mod domain;
pub mod egress;
pub mod grpc;
pub mod identity;
pub mod key_check;
pub mod keyring;
pub mod kms;
pub mod ops;
mod private_file;
pub mod process;
pub mod provider;
pub mod rewrap;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod view;
pub mod workspace_cache;

// The fuzz targets name byokd as any other crate does.
#[cfg(test)]
extern crate self as byokd;
#[cfg(test)]
#[path = "../fuzz/lib.rs"]
mod fuzz_corpus;
