//! A workspace that a caller may use, together with that caller.
//!
//! Invariants: the only constructor is the check of the caller's workspace scope. Operations take `Admitted<WorkspaceId>`
//! and no bare `WorkspaceId`, so an RPC without that check does not compile.
//!
//! Not here: identity and role (`identity`, `grpc::gate`).

use std::{ops::Deref, sync::Arc};

use super::{
    caller::{Caller, WorkspaceScope},
    error::{Error, Reason},
    names::{Scope, WorkspaceId},
};

/// A value that this caller was admitted to.
#[derive(Clone, Debug)]
pub struct Admitted<T> {
    caller: Arc<Caller>,
    value: T,
}

impl Caller {
    /// Admits the caller to a workspace of its scope; any other is `WORKSPACE_MISMATCH`.
    pub fn admit(self: Arc<Self>, workspace: WorkspaceId) -> Result<Admitted<WorkspaceId>, Error> {
        match &self.rights.scope {
            WorkspaceScope::Only(own) if !own.contains(&workspace) => Err(Error::new(
                Reason::WorkspaceMismatch,
                "permission denied for this workspace; use a token or certificate scoped to it",
            )),
            WorkspaceScope::All | WorkspaceScope::Only(_) => Ok(Admitted {
                caller: self,
                value: workspace,
            }),
        }
    }
}

impl<T> Admitted<T> {
    /// The caller that was checked.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
}

impl Admitted<WorkspaceId> {
    /// The workspace as the holder of keys.
    pub fn scope(&self) -> Scope {
        Scope::Workspace(self.value.clone())
    }
}

impl<T> Deref for Admitted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
