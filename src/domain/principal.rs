//! Who calls, and what the caller may do.
//!
//! Invariants: an RPC is allowed only to the roles listed for it here; a scope is stated, never implied; the default
//! purpose is `reply` alone, so that a caller cannot turn an LLM call into a free one.
//!
//! Absent: how an identity was proved. That is `identity`.

use std::collections::BTreeSet;

use super::{
    error::{Error, Reason},
    names::{PurposeName, WorkspaceId},
};

/// A set of RPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Services about to call an LLM.
    Resolver,
    /// Settings pages, reading.
    Viewer,
    /// Settings pages, changing.
    Admin,
    /// The operator of the platform's keys. May not resolve.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Resolver, Self::Viewer, Self::Admin, Self::Operator];

    /// The role's name in tokens and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// The role of exactly this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

macro_rules! rpcs {
    ($($rpc:ident: $($role:ident)|+;)+) => {
        /// A call of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each RPC is documented in the contract")]
        pub enum Rpc { $($rpc),+ }

        impl Rpc {
            /// Every RPC.
            pub const ALL: &[Self] = &[$(Self::$rpc),+];

            /// The RPC's name in the contract.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rpc => stringify!($rpc)),+ }
            }

            /// The roles that may call it.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Self::$rpc => &[$(Role::$role),+]),+ }
            }
        }
    };
}

rpcs! {
    ResolveCredentials: Resolver;
    ExplainResolution: Resolver | Viewer | Admin | Operator;
    ReportOutcome: Resolver;
    WatchInvalidations: Resolver;
    SetKey: Admin;
    VerifyKey: Admin;
    SelectModel: Admin;
    DeleteKey: Admin;
    ToggleByo: Admin;
    ListModels: Viewer | Admin;
    GetWorkspace: Viewer | Admin;
    DeleteWorkspace: Admin;
    ListAuditEvents: Admin;
    ListKeyUsage: Viewer | Admin;
    SetPlatformKey: Operator;
    VerifyPlatformKey: Operator;
    DeletePlatformKey: Operator;
    ListPlatformKeys: Operator;
    ListPlatformAuditEvents: Operator;
}

/// The workspaces that a caller may speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceScope {
    /// Every workspace, said explicitly.
    All,
    /// These.
    Only(BTreeSet<WorkspaceId>),
}

/// A caller whose identity has been proved.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The caller's name in audit rows.
    pub subject: String,
    /// What it may call.
    pub roles: Vec<Role>,
    /// What it may call for.
    pub purposes: Vec<PurposeName>,
    /// Whom it may call for.
    pub scope: WorkspaceScope,
}

impl Principal {
    /// Refuses an RPC that none of the caller's roles may call: `ROLE_REQUIRED`.
    pub fn may_call(&self, rpc: Rpc) -> Result<(), Error> {
        if self.roles.iter().any(|role| rpc.roles().contains(role)) {
            return Ok(());
        }
        let needed = rpc.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::new(
            Reason::RoleRequired,
            format!(
                "{} needs one of the roles: {needed}; the caller's token names none of them",
                rpc.as_str()
            ),
        ))
    }

    /// Refuses a workspace outside the caller's scope: `WORKSPACE_MISMATCH`.
    pub fn may_touch(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        match &self.scope {
            WorkspaceScope::All => Ok(()),
            WorkspaceScope::Only(own) if own.contains(workspace) => Ok(()),
            WorkspaceScope::Only(_) => Err(Error::new(
                Reason::WorkspaceMismatch,
                "the caller's token is for another workspace; use one whose `workspace` claim is this one",
            )),
        }
    }

    /// Refuses a purpose that the caller was not granted: `PURPOSE_NOT_GRANTED`.
    pub fn may_ask_for(&self, purpose: &PurposeName) -> Result<(), Error> {
        if self.purposes.contains(purpose) {
            return Ok(());
        }
        Err(Error::new(
            Reason::PurposeNotGranted,
            format!(
                "the caller's token does not grant the purpose {purpose}; mint one with it in `purposes`"
            ),
        ))
    }
}
