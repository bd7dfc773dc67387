//! The caller: its subject, roles, purposes and workspace scope.
//!
//! Invariants: an RPC is allowed only to the roles listed for it here; a scope is stated, never implied; the default
//! purpose is `reply` alone, so that a caller cannot turn an LLM call into a free one.
//!
//! Not here: how an identity was proved. That is `identity`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Reason},
    names::{PurposeName, WorkspaceId},
};

/// A set of RPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
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

/// One of the contract's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// What concerns one workspace.
    KeyService,
    /// What concerns the operator's keys.
    PlatformService,
}

macro_rules! rpcs {
    ($($service:ident/$rpc:ident: $($role:ident)|+;)+) => {
        /// A call of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
        #[allow(missing_docs, reason = "each RPC is documented in the contract")]
        pub enum Rpc { $($rpc),+ }

        impl Rpc {
            /// Every RPC.
            pub const ALL: &[Self] = &[$(Self::$rpc),+];

            /// The RPC's name in the contract.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$rpc => stringify!($rpc)),+ }
            }

            /// The same with its service, as it is called.
            pub fn method(self) -> &'static str {
                match self {
                    $(Self::$rpc => concat!("byok.v1.", stringify!($service), "/", stringify!($rpc))),+
                }
            }

            /// The service that it belongs to.
            pub fn service(self) -> Service {
                match self { $(Self::$rpc => Service::$service),+ }
            }

            /// The roles that may call it.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Self::$rpc => &[$(Role::$role),+]),+ }
            }
        }
    };
}

rpcs! {
    KeyService/ResolveCredentials: Resolver;
    KeyService/ExplainResolution: Resolver | Viewer | Admin | Operator;
    KeyService/ReportOutcome: Resolver;
    KeyService/WatchInvalidations: Resolver;
    KeyService/SetKey: Admin;
    KeyService/VerifyKey: Admin;
    KeyService/SelectModel: Admin;
    KeyService/DeleteKey: Admin;
    KeyService/ToggleByo: Admin;
    KeyService/ListModels: Viewer | Admin;
    KeyService/GetWorkspace: Viewer | Admin;
    KeyService/DeleteWorkspace: Admin;
    KeyService/ListAuditEvents: Admin;
    KeyService/ListKeyUsage: Viewer | Admin;
    PlatformService/SetPlatformKey: Operator;
    PlatformService/VerifyPlatformKey: Operator;
    PlatformService/DeletePlatformKey: Operator;
    PlatformService/ListPlatformKeys: Operator;
    PlatformService/ListPlatformAuditEvents: Operator;
}

/// The workspaces that a caller may speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceScope {
    /// Every workspace, said explicitly.
    All,
    /// These.
    Only(BTreeSet<WorkspaceId>),
}

impl Default for WorkspaceScope {
    /// None.
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl WorkspaceScope {
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, scope) | (scope, Self::All) => scope.clone(),
            (Self::Only(these), Self::Only(those)) => Self::Only(these & those),
        }
    }
}

/// A set of RPCs, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RpcSet(u32);

impl RpcSet {
    /// These RPCs.
    pub fn of(rpcs: impl IntoIterator<Item = Rpc>) -> Self {
        Self(rpcs.into_iter().fold(0, |set, rpc| set | bit(rpc)))
    }

    /// Every RPC that one of these roles may call.
    pub fn of_roles(roles: &[Role]) -> Self {
        Self::of(
            Rpc::ALL
                .iter()
                .copied()
                .filter(|rpc| rpc.roles().iter().any(|role| roles.contains(role))),
        )
    }

    /// Whether the RPC is one of them.
    pub fn contains(self, rpc: Rpc) -> bool {
        self.0 & bit(rpc) != 0
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The RPCs, in the contract's order.
    pub fn iter(self) -> impl Iterator<Item = Rpc> {
        Rpc::ALL
            .iter()
            .copied()
            .filter(move |rpc| self.contains(*rpc))
    }
}

fn bit(rpc: Rpc) -> u32 {
    #[expect(
        clippy::as_conversions,
        reason = "the number of a variant without fields"
    )]
    let place = rpc as u32;
    1_u32.checked_shl(place).unwrap_or(0)
}

/// What a caller may do; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What it may call.
    pub rpcs: RpcSet,
    /// What it may call for.
    pub purposes: BTreeSet<PurposeName>,
    /// Whom it may call for.
    pub scope: WorkspaceScope,
}

impl Rights {
    /// What both grant.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            rpcs: self.rpcs.and(other.rpcs),
            purposes: &self.purposes & &other.purposes,
            scope: self.scope.and(&other.scope),
        }
    }
}

/// A caller whose identity has been proved.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The caller's name in audit rows.
    pub subject: String,
    /// What it may do.
    pub rights: Rights,
}

impl Caller {
    /// Refuses an RPC that the caller's roles do not hold: `ROLE_REQUIRED`.
    pub fn may_call(&self, rpc: Rpc) -> Result<(), Error> {
        if self.rights.rpcs.contains(rpc) {
            return Ok(());
        }
        let needed = rpc
            .roles()
            .iter()
            .map(|role| role.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        Err(Error::new(
            Reason::RoleRequired,
            format!(
                "{} needs one of the roles: {needed}; the caller was granted none of them",
                rpc.as_str()
            ),
        ))
    }

    /// Refuses a purpose that the caller was not granted: `PURPOSE_NOT_GRANTED`.
    pub fn may_ask_for(&self, purpose: &PurposeName) -> Result<(), Error> {
        if self.rights.purposes.contains(purpose) {
            return Ok(());
        }
        Err(Error::new(
            Reason::PurposeNotGranted,
            format!(
                "the caller was not granted the purpose {purpose}; grant it in its token or rule"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_has_a_bit_of_its_own() {
        assert_eq!(
            RpcSet::of(Rpc::ALL.iter().copied()).iter().count(),
            Rpc::ALL.len()
        );
        for rpc in Rpc::ALL.iter().copied() {
            assert_eq!(RpcSet::of([rpc]).iter().collect::<Vec<_>>(), [rpc]);
        }
    }

    #[test]
    fn two_rights_together_are_no_more_than_each() {
        let rights = |roles: &[Role], purposes: &[&str], scope: &[&str]| Rights {
            rpcs: RpcSet::of_roles(roles),
            purposes: purposes
                .iter()
                .map(|name| PurposeName::parse(name).unwrap())
                .collect(),
            scope: match scope {
                ["*"] => WorkspaceScope::All,
                ids => WorkspaceScope::Only(
                    ids.iter()
                        .map(|id| WorkspaceId::parse(id).unwrap())
                        .collect(),
                ),
            },
        };
        let service = rights(
            &[Role::Admin, Role::Resolver],
            &["reply", "training"],
            &["*"],
        );
        let user = rights(&[Role::Viewer], &["reply"], &["acme"]);
        assert_eq!(
            service.and(&user),
            user,
            "an admin's rights hold a viewer's"
        );
        assert_eq!(user.and(&service), user);
        let other = rights(&[Role::Operator], &["title"], &["globex"]);
        let nothing = user.and(&other);
        assert_eq!(
            nothing.rpcs.iter().collect::<Vec<_>>(),
            [Rpc::ExplainResolution]
        );
        assert!(nothing.purposes.is_empty());
        assert_eq!(nothing.scope, WorkspaceScope::Only(BTreeSet::new()));
    }
}
