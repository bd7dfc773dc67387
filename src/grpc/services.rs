//! The road that every RPC takes: admit the caller, run the operation, answer; or record the refusal and make its status.
//!
//! Invariants: an operation runs only for a caller that the gate admitted to its RPC, and to its workspace if it has one. A
//! refused attempt is a line of the audit stream before it is answered.
//!
//! Not here: reading the fields of one RPC (`key_service`, `platform_service`).

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    call::Call,
    gate::{Gate, Refusal},
    parse, status,
};
use crate::{
    app_state::AppState,
    contract::v1::{
        key_service_server::KeyServiceServer, platform_service_server::PlatformServiceServer,
    },
    domain::{
        admitted::Admitted,
        caller::{Caller, Rpc},
        error::{Error, Reason},
        names::WorkspaceId,
    },
};

/// Of one request, in bytes: a key, a few headers and names.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Of one response, in bytes: a page of models.
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// The outcome of an RPC.
pub(super) type Answer<T> = Result<Response<T>, Status>;

/// `KeyService` and `PlatformService`.
#[derive(Clone)]
pub struct Services {
    gate: Arc<Gate>,
    pub(super) state: Arc<AppState>,
}

impl Services {
    /// Puts the operations behind this gate.
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
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }

    /// `byok.v1.PlatformService`.
    pub fn platform_service(&self) -> PlatformServiceServer<Self> {
        PlatformServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_RESPONSE_BYTES)
    }

    /// Takes an RPC about one workspace apart; `workspace_id` is the field that names it.
    pub(super) fn workspace_call<M>(
        &self,
        rpc: Rpc,
        request: Request<M>,
        workspace_id: fn(&mut M) -> &mut String,
    ) -> WorkspaceCall<'_, M> {
        let (call, mut message) = Call::of(request);
        WorkspaceCall {
            services: self,
            rpc,
            call,
            workspace_id: std::mem::take(workspace_id(&mut message)),
            message,
        }
    }

    /// Runs an RPC that is about no single workspace.
    pub(super) async fn run<M, T>(
        &self,
        rpc: Rpc,
        request: Request<M>,
        operation: impl AsyncFnOnce(Arc<Caller>, M) -> Result<T, Error>,
    ) -> Answer<T> {
        let (call, message) = Call::of(request);
        self.serve(rpc, &call, "", async |caller: Arc<Caller>| {
            operation(caller, message).await
        })
        .await
    }

    async fn serve<T>(
        &self,
        rpc: Rpc,
        call: &Call,
        workspace_id: &str,
        operation: impl AsyncFnOnce(Arc<Caller>) -> Result<T, Error>,
    ) -> Answer<T> {
        let (error, caller) = match self.gate.admit(call, rpc).await {
            Ok(caller) => match operation(Arc::clone(&caller)).await {
                Ok(answer) => return Ok(Response::new(answer)),
                Err(error) => (error, Some(caller)),
            },
            Err(Refusal { error, caller }) => (error, caller),
        };
        let audit = &self.state.audit;
        let recorded = Box::pin(audit.refused(rpc, caller, workspace_id, error.reason())).await;
        Err(status::of(recorded.err().unwrap_or(error), rpc))
    }
}

/// A call of an RPC about one workspace.
pub(super) struct WorkspaceCall<'s, M> {
    services: &'s Services,
    rpc: Rpc,
    call: Call,
    /// As the caller wrote it.
    workspace_id: String,
    message: M,
}

impl<M> WorkspaceCall<'_, M> {
    /// Admits the caller to the RPC, then to the workspace, and runs the operation.
    pub(super) async fn run<T>(
        self,
        operation: impl AsyncFnOnce(Admitted<WorkspaceId>, M) -> Result<T, Error>,
    ) -> Answer<T> {
        let (id, message) = (&self.workspace_id, self.message);
        let admitted = async |caller: Arc<Caller>| {
            let workspace = caller.admit(parse::workspace(id)?)?;
            operation(workspace, message).await
        };
        let services = self.services;
        services.serve(self.rpc, &self.call, id, admitted).await
    }
}

/// The answer of an RPC that the contract has and byokd does not serve yet.
pub(super) fn not_served_yet<T>(rpc: Rpc) -> Result<T, Error> {
    let message = format!("{} is not served yet", rpc.as_str());
    Err(Error::new(Reason::NotImplementedYet, message))
}
