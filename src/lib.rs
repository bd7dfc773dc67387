//! byokd: whose key, which model, where, and who pays.

pub mod admin;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod directory;
pub mod domain;
pub mod grpc;
pub mod identity;
pub mod keyring;
pub mod kms;
pub mod ops;
pub mod provider;
pub mod server;
pub mod store;
pub mod telemetry;
