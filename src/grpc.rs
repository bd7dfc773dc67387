//! The server's side of the contract: the only place that knows tonic, beside the wiring.
//!
//! A call comes in here, is admitted (`gate`), parsed (`parse`), handed to its operation, and its answer or error is
//! turned into messages (`answer`) or a status (`status`). Checks run in this order: identity, role, form of
//! `workspace_id`, workspace scope, form of the other fields; the operation goes on with what they mean, purpose, limits
//! and state.
//!
//! Invariants: no RPC is served that does not pass the gate; a refused attempt is put on record before it is answered; no text of a database, KMS or provider reaches a status.
//!
//! Not here: any rule of who pays.

mod admission;
mod answer;
mod call;
mod deadline;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod key_service;
mod limiter;
mod measured;
mod parse;
mod platform_service;
mod record;
mod services;
mod status;

pub use admission::{Admission, CallLimits};
pub use gate::Gate;
pub use services::Services;
