//! Minting: from a wish to a token of the embedded signer.
//!
//! Not here: who may mint. Every process that can read the signer's file can.

use super::{
    AUDIENCE, ISSUER,
    signer::{EmbeddedClaims, Signer, scope},
};
use crate::domain::{
    caller::Role,
    clock::Clock,
    error::{Error, Reason},
    names::PurposeName,
};

/// For how long a minted token is good.
const LIFETIME_SECONDS: i64 = 3600;

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

/// Mints a token that is good for an hour.
pub fn mint(signer: &Signer, request: &MintRequest, clock: &Clock) -> Result<String, Error> {
    scope(&request.workspace).map_err(|malformed| {
        Error::new(
            Reason::FieldInvalid,
            format!("the workspace {malformed}, or `*` for every workspace"),
        )
    })?;
    if request.roles.is_empty() {
        return Err(Error::new(
            Reason::FieldInvalid,
            "a token needs at least one role",
        ));
    }
    let now = clock.now().unix_timestamp();
    signer.sign(&EmbeddedClaims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: request.subject.clone(),
        iat: now,
        exp: now.saturating_add(LIFETIME_SECONDS),
        roles: request
            .roles
            .iter()
            .map(|role| role.as_str().to_owned())
            .collect(),
        workspace: request.workspace.clone(),
        purposes: request.purposes.iter().map(ToString::to_string).collect(),
    })
}
