//! Who calls: from a bearer token to a principal, and from a principal's wish to a token.
//!
//! Invariants: the algorithm, the audience and the issuer are fixed here, never read from the token; a token without
//! expiry, or whose expiry is not a number, is refused; an unknown role or a malformed scope refuses the whole token.
//! What is wrong with a token is told to the operator's log, not to the caller.
//!
//! Absent: issuers outside this process, and certificates.

mod signer;

use serde::{Deserialize, Serialize};

pub use signer::Signer;

use crate::domain::{
    clock::Clock,
    error::{Error, Reason},
    names::{PurposeName, WorkspaceId},
    principal::{Principal, Role, WorkspaceScope},
};

const ISSUER: &str = "byokd";
const AUDIENCE: &str = "byokd";
/// How far clocks may differ.
const LEEWAY_SECONDS: i64 = 30;
/// For how long a minted token is good.
const LIFETIME_SECONDS: i64 = 3600;
/// The scope that means every workspace.
const ALL_WORKSPACES: &str = "*";
/// No token of ours is longer; a longer one is refused before it is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct MintRequest {
    /// The caller's name in audit rows.
    pub subject: String,
    /// What it may call.
    pub roles: Vec<Role>,
    /// A workspace's id, or `*`.
    pub workspace: String,
    /// What it may call for; empty: `reply` alone.
    pub purposes: Vec<PurposeName>,
}

#[derive(Deserialize, Serialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    roles: Vec<String>,
    workspace: String,
    #[serde(default)]
    purposes: Vec<String>,
}

/// Tells principals by their tokens.
#[derive(Debug)]
pub struct Identity {
    signer: Signer,
    clock: Clock,
}

impl Identity {
    /// Accepts the tokens of this signer.
    pub fn new(signer: Signer, clock: Clock) -> Self {
        Self { signer, clock }
    }

    /// The principal behind an `authorization` header; `None`: there was none.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Principal, Error> {
        let header = authorization.ok_or_else(|| {
            Error::new(
                Reason::CredentialsMissing,
                "no `authorization` metadata; send `authorization: Bearer <token>` (byokd token mints one)",
            )
        })?;
        let (scheme, token) =
            header.split_once(' ').ok_or_else(|| refused("not of the form `Bearer <token>`"))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused("the scheme is not Bearer"));
        }
        let token = token.trim();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("longer than 8 KiB"));
        }
        self.principal(self.signer.verify(token)?)
    }

    fn principal(&self, claims: Claims) -> Result<Principal, Error> {
        let now = self.clock.now().unix_timestamp();
        if now > claims.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(refused("expired"));
        }
        if claims.sub.is_empty() || claims.sub.len() > 256 || claims.sub.chars().any(char::is_control) {
            return Err(refused("`sub` is empty, too long or not printable"));
        }
        let roles: Option<Vec<Role>> = claims.roles.iter().map(|name| Role::parse(name)).collect();
        let purposes: Result<Vec<PurposeName>, _> =
            claims.purposes.iter().map(|name| PurposeName::parse(name)).collect();
        let mut purposes = purposes.map_err(|_| refused("a purpose is malformed"))?;
        if purposes.is_empty() {
            purposes.push(PurposeName::reply());
        }
        Ok(Principal {
            subject: claims.sub,
            roles: roles.ok_or_else(|| refused("a role is unknown"))?,
            purposes,
            scope: scope(&claims.workspace).map_err(|_| refused("`workspace` is neither an id nor *"))?,
        })
    }
}

/// Mints a token that is good for an hour.
pub fn mint(signer: &Signer, request: &MintRequest, clock: &Clock) -> Result<String, Error> {
    scope(&request.workspace).map_err(|malformed| {
        Error::new(Reason::FieldInvalid, format!("the workspace {malformed}, or `*` for every workspace"))
    })?;
    if request.roles.is_empty() {
        return Err(Error::new(Reason::FieldInvalid, "a token needs at least one role"));
    }
    let now = clock.now().unix_timestamp();
    signer.sign(&Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: request.subject.clone(),
        iat: now,
        exp: now.saturating_add(LIFETIME_SECONDS),
        roles: request.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        workspace: request.workspace.clone(),
        purposes: request.purposes.iter().map(ToString::to_string).collect(),
    })
}

fn scope(claim: &str) -> Result<WorkspaceScope, &'static str> {
    match claim {
        ALL_WORKSPACES => Ok(WorkspaceScope::All),
        id => WorkspaceId::parse(id).map(|id| WorkspaceScope::Only([id].into())),
    }
}

/// One text for every fault, so that an attacker learns nothing from it.
fn refused(why: &'static str) -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "the bearer token is not valid here; mint a new one with `byokd token`",
    )
    .caused_by(why)
}
