//! One file for each RPC, as in `src/ops`, and the requests that every RPC refuses.

mod delete_key;
mod delete_workspace;
mod explain_resolution;
mod get_workspace;
mod invalid_requests;
mod list_audit_events;
pub(crate) mod list_key_usage;
mod list_models;
mod list_platform_audit_events;
mod platform_keys;
mod resolve_credentials;
mod select_model;
mod set_key;
mod set_platform_key;
mod toggle_byo;
mod verify_key;
