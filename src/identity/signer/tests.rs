//! Tests of `signer`.

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
