//! byokd: whose key, which model, where, and who pays.

pub mod contract;
pub mod domain;
mod store;
