//! The embedded signer: an Ed25519 key in a file, for tokens on one machine.
//!
//! The file is the key's PKCS #8 document (RFC 8410), readable by its owner only.
//!
//! Invariants: only EdDSA is accepted, whatever the token's header says; the audience and issuer are required; the file
//! is made by `serve` alone, where none is.
//!
//! A token that has no expiry, whose expiry is not a number, or that names an unknown role or a malformed scope is
//! refused as a whole.
//!
//! Not here: rules. Who can read the signer's file says in the token itself what it grants.

use std::{collections::BTreeSet, fmt, path::Path};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use serde::{Deserialize, Serialize};

use super::{AUDIENCE, Granted, ISSUER, LEEWAY_SECONDS};
use crate::{
    domain::{
        caller::{Rights, Role, RpcSet, WorkspaceScope},
        error::{Error, Reason},
        names::{PurposeName, WorkspaceId},
    },
    private_file,
};

/// The signer's file in the data folder.
const FILE: &str = "token-signer";

/// The scope that means every workspace.
const ALL_WORKSPACES: &str = "*";

#[derive(Deserialize, Serialize)]
pub(super) struct EmbeddedClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: String,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) roles: Vec<String>,
    pub(super) workspace: String,
    #[serde(default)]
    pub(super) purposes: Vec<String>,
}

/// Signs and verifies.
pub struct Signer {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer([redacted])")
    }
}

impl Signer {
    /// The signer of the byokd whose data lie in this folder.
    pub fn in_folder(data_dir: &Path) -> Result<Self, Error> {
        Self::open(&data_dir.join(FILE))
    }

    /// The same, made where there is none.
    pub fn in_folder_or_new(data_dir: &Path) -> Result<Self, Error> {
        Self::open_or_create(&data_dir.join(FILE))
    }

    /// Reads the signer's file.
    fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |why: String| {
            Error::new(
                Reason::CredentialsInvalid,
                format!("the token signer {} {why}", path.display()),
            )
        };
        let document = private_file::read(path).map_err(unusable)?;
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|_| unusable("is not an Ed25519 key in PKCS #8".to_owned()))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // The expiry is checked against the clock that is passed in; in `grants`.
        validation.validate_exp = false;
        Ok(Self {
            signing: EncodingKey::from_ed_der(&document),
            verifying: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            validation,
        })
    }

    /// Reads the signer's file, or makes it where none is.
    fn open_or_create(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            create(path).map_err(|error| {
                let why = format!("cannot make the token signer {}: {error}", path.display());
                Error::new(Reason::CredentialsInvalid, why)
            })?;
        }
        Self::open(path)
    }

    pub(super) fn sign(&self, claims: &EmbeddedClaims) -> Result<String, Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.signing)
            .map_err(Error::internal)
    }

    /// What a token of this signer grants; the error is for the operator.
    pub(super) fn grants(&self, token: &str, now: i64) -> Result<Granted, String> {
        let claims = jsonwebtoken::decode::<EmbeddedClaims>(token, &self.verifying, &self.validation)
            .map_err(
                |_| "the token is malformed, not signed by the embedded signer, or for another audience",
            )?
            .claims;
        let until = claims.exp.saturating_add(LEEWAY_SECONDS);
        if now > until {
            return Err("the token has expired".to_owned());
        }
        if claims.sub.is_empty()
            || claims.sub.len() > 256
            || claims.sub.chars().any(char::is_control)
        {
            return Err("`sub` is empty, too long or not printable".to_owned());
        }
        let roles: Option<Vec<Role>> = claims.roles.iter().map(|name| Role::parse(name)).collect();
        let purposes: Result<BTreeSet<PurposeName>, _> = claims
            .purposes
            .iter()
            .map(|name| PurposeName::parse(name))
            .collect();
        let mut purposes = purposes.map_err(|_| "a purpose is malformed")?;
        if purposes.is_empty() {
            purposes.insert(PurposeName::reply());
        }
        let rights = Rights {
            rpcs: RpcSet::of_roles(&roles.ok_or("a role is unknown")?),
            purposes,
            scope: scope(&claims.workspace).map_err(|_| "`workspace` is neither an id nor *")?,
        };
        Ok(Granted {
            subject: claims.sub,
            rights,
            rule: None,
            until,
            keys: None,
        })
    }
}

/// The workspaces that a claim of an embedded token means.
pub(super) fn scope(claim: &str) -> Result<WorkspaceScope, &'static str> {
    match claim {
        ALL_WORKSPACES => Ok(WorkspaceScope::All),
        id => WorkspaceId::parse(id).map(|id| WorkspaceScope::Only([id].into())),
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    let failed = |_| std::io::Error::other("the cryptographic library refused to make a key");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    private_file::create(path, document.as_ref())
}

#[cfg(test)]
mod tests;
