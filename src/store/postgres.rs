//! PostgreSQL: its URL, its connection pools, and change hints.
//!
//! Not here: statements; replicas of the database, which may return a revoked key.

mod connections;
mod hints;
mod pool;
mod url;

pub(super) use connections::{Postgres, READER_SESSION, WRITER_SESSION};
pub(super) use hints::Hints;
