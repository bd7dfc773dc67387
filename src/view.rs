//! The answers of operations: workspaces, keys, models and decisions, as other services may see them.
//!
//! Invariants: no type here can hold a secret or a sealed record. Answers of changes are stored in this form, so that a
//! retry gets the same answer.
//!
//! Not here: wire forms (`grpc::answer`).

mod billing;
mod key;
mod model;
mod resolution;
mod workspace;

pub use billing::{BillingView, ChargeView};
pub use key::KeyView;
pub use model::ModelView;
pub use resolution::{KeySource, ResolutionView};
pub use workspace::{ProviderEntryView, WorkspaceView};
