//! Who may come in: identity, then role.
//!
//! Invariant: the only way to a `Principal` inside the services is through here, and it names the RPC that it is for.
//!
//! Absent: the workspace, which stands in the request and is checked by `parse`.

use std::sync::Arc;

use super::call::Call;
use crate::{
    domain::{
        error::Error,
        principal::{Principal, Rpc},
    },
    identity::Identity,
};

/// Admits callers.
pub struct Gate {
    identity: Identity,
}

impl Gate {
    /// A gate that knows callers by this.
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }

    /// The caller, if it may call this RPC.
    pub(super) fn admit(&self, call: &Call, rpc: Rpc) -> Result<Arc<Principal>, Error> {
        let caller = self.identity.authenticate(call.authorization())?;
        caller.may_call(rpc)?;
        Ok(Arc::new(caller))
    }
}
