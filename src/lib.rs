//! byokd: whose key, which model, where, and who pays.

pub mod contract;
pub mod domain;
pub mod store;
pub mod directory;
pub mod identity;
pub mod keyring;
pub mod kms;
