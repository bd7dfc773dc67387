//! `byokd rewrap`: moves data keys to another KMS key, or records to new data keys.
//!
//! Invariants:
//! - Safe to kill and to run again: the progress is in the database. Only one runs at a time.
//! - Safe while other processes serve: each step is compare-and-set, and a data key is retired only after its successor
//!   exists.
//! - A data key or record that cannot be moved is counted, logged and left as it is. An outage is waited for, for a while.
//! - Where the KMS can move a data key by itself, its plaintext is not seen.
//!
//! Not here: wrapping, opening and sealing (`keyring`), the command (`cli`).

mod data_keys;
mod job;
mod progress;
mod records;
mod retry;

pub use job::{RewrapMode, RewrapSummary, rewrap};
pub use progress::RewrapProgress;
