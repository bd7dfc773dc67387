//! The database: records, changes, locks, damage.

mod cancellation;
mod concurrency;
mod crash;
mod disk_full;
mod idempotency;
pub(crate) mod plaintext;
mod records;
mod restart;
mod rewrap;
mod sqlite;
mod tampering;
