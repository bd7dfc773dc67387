//! The server's side of the contract: the only place that knows tonic, beside the wiring.
//!
//! A call comes in here, is admitted (`gate`), parsed (`parse`), handed to its operation, and its answer or error is
//! turned into messages (`answer`) or a status (`status`). Checks run in this order: identity, role, form of
//! `workspace_id`, workspace scope, form of the other fields; the operation goes on with what they mean, purpose, limits
//! and state.
//!
//! Invariants: no RPC is served that does not pass the gate; a refused attempt is put on record before it is answered; no text of a database, KMS or provider reaches a status.
//!
//! Absent: any rule of who pays.

mod admission;
mod answer;
mod call;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod key_service;
mod measured;
mod parse;
mod platform_service;
mod record;
mod status;

use std::sync::Arc;

pub use admission::{Admission, CallLimits};
pub use gate::Gate;

use crate::{
    contract::v1::{
        key_service_server::KeyServiceServer, platform_service_server::PlatformServiceServer,
    },
    domain::{
        caller::Rpc,
        error::{Error, Reason},
    },
    ops::AppState,
};

/// The largest request: a key, a few headers and names.
const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The largest answer: a page of models.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What both services are made of.
#[derive(Clone)]
pub struct Services {
    gate: Arc<Gate>,
    state: Arc<AppState>,
}

impl Services {
    /// Services behind this gate.
    pub fn new(gate: Gate, state: Arc<AppState>) -> Self {
        Self {
            gate: Arc::new(gate),
            state,
        }
    }

    /// `byok.v1.KeyService`.
    pub fn key_service(&self) -> KeyServiceServer<Self> {
        KeyServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES)
    }

    /// `byok.v1.PlatformService`.
    pub fn platform_service(&self) -> PlatformServiceServer<Self> {
        PlatformServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// The answer of an RPC that stands in the contract and is not served yet.
fn not_served_yet(rpc: Rpc) -> Error {
    Error::new(
        Reason::NotImplementedYet,
        format!("{} is not served yet", rpc.as_str()),
    )
}
