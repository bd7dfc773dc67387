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
//! Absent: rules. Who can read the signer's file says in the token itself what it grants.

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
mod tests {
    use std::{fs, time::Duration};

    use serde_json::json;
    use time::macros::datetime;

    use super::{
        super::{Identity, MintRequest, mint},
        *,
    };
    use crate::domain::{
        caller::{Role, WorkspaceScope},
        clock::Clock,
        names::PurposeName,
    };

    struct World {
        folder: tempfile::TempDir,
        clock: Clock,
        identity: Identity,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(datetime!(2026-11-22 12:00 UTC));
        let signer = Signer::open_or_create(&folder.path().join("signer")).unwrap();
        World {
            folder,
            clock: clock.clone(),
            identity: Identity::new(Some(signer), Vec::new(), Vec::new(), clock),
        }
    }

    impl World {
        fn mint(&self, workspace: &str) -> String {
            let signer = Signer::open(&self.folder.path().join("signer")).unwrap();
            let request = MintRequest {
                subject: "tests".into(),
                roles: vec![Role::Resolver],
                workspace: workspace.into(),
                purposes: vec![],
            };
            mint(&signer, &request, &self.clock).unwrap()
        }

        async fn reason(&self, authorization: Option<&str>) -> Reason {
            self.identity
                .authenticate(authorization, None)
                .await
                .unwrap_err()
                .reason()
        }

        fn sign(&self, claims: &serde_json::Value) -> String {
            let document = fs::read(self.folder.path().join("signer")).unwrap();
            jsonwebtoken::encode(
                &Header::new(Algorithm::EdDSA),
                claims,
                &EncodingKey::from_ed_der(&document),
            )
            .unwrap()
        }
    }

    fn claims() -> serde_json::Value {
        json!({"iss": "byokd", "aud": "byokd", "sub": "s", "iat": 0, "exp": 1_795_348_900_i64 + 3600 * 24,
               "roles": ["admin"], "workspace": "acme"})
    }

    #[tokio::test]
    async fn a_minted_token_says_who_calls_for_an_hour() {
        let world = world();
        let bearer = format!("Bearer {}", world.mint("acme"));
        let caller = world
            .identity
            .authenticate(Some(&bearer), None)
            .await
            .unwrap();
        assert_eq!(caller.subject, "tests");
        assert_eq!(caller.rights.purposes, [PurposeName::reply()].into());
        assert!(
            matches!(&caller.rights.scope, WorkspaceScope::Only(ids) if ids.iter().all(|id| id.as_str() == "acme"))
        );
        world.clock.advance(Duration::from_secs(3600 + 30));
        assert!(
            world
                .identity
                .authenticate(Some(&bearer), None)
                .await
                .is_ok()
        );
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(
            world.reason(Some(&bearer)).await,
            Reason::CredentialsInvalid
        );
    }

    #[tokio::test]
    async fn what_is_not_ours_is_refused() {
        let (world, other) = (world(), world());
        assert_eq!(world.reason(None).await, Reason::CredentialsMissing);
        let minted = world.mint("*");
        let stripped = minted.rsplit_once('.').unwrap().0;
        for header in [
            String::new(),
            minted.clone(),
            format!("Basic {minted}"),
            format!("Bearer {}", other.mint("acme")),
            format!("Bearer {stripped}."),
            format!("Bearer {}x", minted),
            format!("Bearer {}", "a".repeat(9000)),
            // alg none, with and without the rest
            "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        ] {
            assert_eq!(
                world.reason(Some(&header)).await,
                Reason::CredentialsInvalid,
                "{header}"
            );
        }
    }

    #[tokio::test]
    async fn hs256_under_the_public_key_is_refused() {
        let world = world();
        let document = fs::read(world.folder.path().join("signer")).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(&document)
            .unwrap()
            .public_key()
            .as_ref()
            .to_vec();
        let token = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(&public),
        )
        .unwrap();
        assert_eq!(
            world.reason(Some(&format!("Bearer {token}"))).await,
            Reason::CredentialsInvalid
        );
    }

    #[tokio::test]
    async fn every_claim_is_required_in_its_form() {
        let world = world();
        assert!(
            world
                .identity
                .authenticate(Some(&format!("Bearer {}", world.sign(&claims()))), None)
                .await
                .is_ok()
        );
        for (claim, value) in [
            ("exp", json!("1795348900")),
            ("exp", json!(null)),
            ("exp", json!(1)),
            ("aud", json!("other")),
            ("iss", json!("other")),
            ("sub", json!("")),
            ("sub", json!("s".repeat(257))),
            ("sub", json!("two\nlines")),
            ("roles", json!(["Admin"])),
            ("roles", json!(["root"])),
            ("workspace", json!("")),
            ("workspace", json!("a/b")),
            ("workspace", json!(null)),
            ("purposes", json!(["Training"])),
            ("purposes", json!(vec!["reply"; 1000])), // longer than 8 KiB
        ] {
            let mut bad = claims();
            bad[claim] = value.clone();
            let header = format!("Bearer {}", world.sign(&bad));
            assert_eq!(
                world.reason(Some(&header)).await,
                Reason::CredentialsInvalid,
                "{claim} = {value}"
            );
        }
        for claim in ["exp", "aud", "iss", "sub", "roles", "workspace"] {
            let mut bad = claims();
            bad.as_object_mut().unwrap().remove(claim);
            let header = format!("Bearer {}", world.sign(&bad));
            assert_eq!(
                world.reason(Some(&header)).await,
                Reason::CredentialsInvalid,
                "without {claim}"
            );
        }
    }
}
