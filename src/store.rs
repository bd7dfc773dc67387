//! The database: connections, schema and queries.
//!
//! Invariants:
//! - Only this folder names sea-orm and sqlx.
//! - One statement outside a transaction reads a holder with its keys.
//! - A change is one transaction. It locks its holder first and writes the audit event and the change-log row.
//! - Every query on the rows of a workspace takes the workspace's id.
//! - Provider keys arrive sealed and data keys wrapped. No code in this folder sees either in the clear.
//! - Every wait has a limit.
//!
//! From bottom to top: `entities`, `values`, `db_error`; `statements` and `schema`, which are functions over a
//! connection; `postgres`, `sqlite`, `writer`,
//! `limited_reads` and `database`, which own pools, limits and transactions; `change`; and `Store` in
//! `open`, with its methods in `serving`, `rotation` and `purges`.
//!
//! Not here: caches (`workspace_cache`, `keyring`), decisions (`domain`), calls to a KMS or a provider.

mod change;
mod database;
mod db_error;
mod entities;
mod limited_reads;
mod limits;
mod migrations;
mod observe;
mod open;
mod postgres;
mod purges;
mod rotation;
mod schema;
mod serving;
mod settings;
mod sqlite;
mod statements;
mod values;
mod writer;

pub use change::ChangeTransaction;
pub use open::Store;
pub use schema::SchemaStatus;
pub use settings::{OpenMode, PoolerMode, StoreSettings};
pub use statements::{
    change_log::{LogPage, LogPlace, ServerIdentity},
    data_keys::DataKeyRow,
    key_usage::UsagePlace,
    provider_keys::KeyCount,
    request_results::StoredResult,
    rewraps::RewrapRun,
    sealed_records::SealedRecord,
};
