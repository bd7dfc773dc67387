//! The contract's messages as text for people.
//!
//! Not here: JSON, which is the contract's own (`contract`), and texts of one command only.

mod decision;
mod key;
mod model;
mod record;
mod table;
mod value;
mod workspace;

pub(super) use decision::{billing, endpoint_fields, key_reference};
pub(super) use key::{deletion, key, keys, verification};
pub(super) use model::models;
pub(super) use record::{audit_events, key_usage};
pub(super) use table::Table;
pub(super) use value::{seconds, when};
pub(super) use workspace::{cleared_selections, workspace};
