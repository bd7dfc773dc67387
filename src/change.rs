//! The road of every change: remembered result, lock, plan, commit, cache, audit line.
//!
//! Invariants:
//! - Lock, plan, commit and invalidation run in a task that outlives the caller: a change is whole or absent.
//! - A plan is a pure function of the locked state. No KMS and no provider is called while the transaction is open.
//! - A request id is looked up before the lock and again under it.
//!
//! Not here: the rules of one RPC (`ops`), the transaction (`store`).

mod attempt;
mod changes;
mod outcome;
mod replay;
mod request;
mod sealing;

pub use attempt::{Attempt, Replayable, RequestLookup, commit};
pub use changes::Changes;
pub use outcome::Outcome;
pub use request::{ChangeMeta, ChangeRequest};
pub use sealing::Sealing;
