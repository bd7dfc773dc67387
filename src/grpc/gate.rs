//! The gate: authenticate the caller, check its role, then its workspace.
//!
//! Invariant: the only way to a `Caller` inside the services is through here, and it names the RPC that it is for.
//!
//! Not here: the workspace, which stands in the request and is checked by `parse`.

use std::sync::Arc;

use super::call::Call;
use crate::{
    domain::{
        caller::{Caller, Rpc},
        error::Error,
    },
    identity::Identity,
};

/// Admits callers.
pub struct Gate {
    identity: Arc<Identity>,
}

impl Gate {
    /// A gate that knows callers by this.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity }
    }

    /// The caller, if it may call this RPC.
    pub(super) async fn admit(&self, call: &Call, rpc: Rpc) -> Result<Arc<Caller>, Refusal> {
        let caller = self
            .identity
            .authenticate(call.authorization(), call.certificate())
            .await;
        let caller = caller.map_err(|error| Refusal {
            error,
            caller: None,
        })?;
        match caller.may_call(rpc) {
            Ok(()) => Ok(caller),
            Err(error) => Err(Refusal {
                error,
                caller: Some(caller),
            }),
        }
    }
}

/// Why a caller may not come in, and who it is, if that is known.
pub(super) struct Refusal {
    pub(super) error: Error,
    pub(super) caller: Option<Arc<Caller>>,
}
