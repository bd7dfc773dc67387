//! What the database keeps, and what it does not keep: records, changes, locks, damage.

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
