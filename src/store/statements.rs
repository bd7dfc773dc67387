//! One file for each table or concern: statements, and functions that read their rows.
//!
//! Invariants: a function takes a connection or builds a statement. It begins no transaction and sets no limit.
//!
//! Not here: pools, limits and transactions (`database`).

pub(super) mod audit_chains;
pub(super) mod audit_events;
pub(super) mod change_log;
pub(super) mod data_keys;
pub(super) mod holders;
pub(super) mod key_usage;
pub(super) mod model_lists;
pub(super) mod provider_keys;
pub(super) mod request_results;
pub(super) mod rewraps;
pub(super) mod sealed_records;
