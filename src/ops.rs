//! The operations: one file for each RPC, named like it.
//!
//! Each reads like a recipe: check the fields' meaning, the purpose, the limits and the state; then read or change. The
//! gate has checked the caller's role, its workspace and the form of every field before.
//!
//! Invariants: a change takes the road of `change`, the only one to the store's transactions. An API key in the clear lives
//! for one call. No operation catches another's refusal to try something else.
//!
//! Not here: gRPC. Operations take the domain's types and return views (`view`).

mod delete_key;
mod delete_platform_key;
mod delete_workspace;
mod explain_resolution;
mod get_workspace;
mod list_audit_events;
mod list_key_usage;
mod list_models;
mod list_platform_audit_events;
mod list_platform_keys;
mod resolve_credentials;
mod select_model;
mod set_key;
mod set_platform_key;
mod toggle_byo;
mod verify_key;
mod verify_platform_key;

pub use delete_key::{DeleteKeyOutcome, delete_key};
pub use delete_platform_key::{DeletePlatformKeyOutcome, delete_platform_key};
pub use delete_workspace::delete_workspace;
pub use explain_resolution::{Explanation, explain_resolution};
pub use get_workspace::get_workspace;
pub use list_audit_events::{AuditPage, list_audit_events};
pub use list_key_usage::{UsagePage, UsagePlace, list_key_usage};
pub use list_models::{ListModels, ModelPage, list_models};
pub use list_platform_audit_events::list_platform_audit_events;
pub use list_platform_keys::{PlatformKeys, list_platform_keys};
pub use resolve_credentials::{Lease, ResolveOutcome, resolve_credentials};
pub use select_model::{SelectModel, select_model};
pub use set_key::{SetKey, SetKeyOutcome, set_key};
pub use set_platform_key::{SetPlatformKeyOutcome, set_platform_key};
pub use toggle_byo::{ToggleByoOutcome, toggle_byo};
pub use verify_key::{VerifyKeyOutcome, verify_key};
pub use verify_platform_key::verify_platform_key;
