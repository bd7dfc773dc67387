//! Callers with tokens of external issuers: accepted and refused tokens, and the texts of a refusal.

mod hostile;
mod key_rotation;
mod kubernetes;

use byokd::{config::IssuerConfig, contract::v1::key_service_client::KeyServiceClient};
use serde_json::{Value, json};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};
use tonic_types::StatusExt as _;

use crate::support::{
    Byokd, Issuer, TokenKey, ask,
    issuer::issuer_config,
    reason,
    token_key::{encoded, key_set},
};

/// The one text of every refusal.
const REFUSED: &str =
    "the certificate or token is not valid here; byokd's log says why under the trace id";

const MAIN: &str = "https://issuer.test";
const FILE: &str = "https://file.test";
const NARROW: &str = "https://narrow.test";

/// A byokd with three issuers: one at a URL, one in a file, and one that publishes more keys than are pinned.
struct World {
    byokd: Byokd,
    issuer: Issuer,
    narrow: Issuer,
    /// Two keys of one kind, so that a token must name one.
    ed: TokenKey,
    second_ed: TokenKey,
    es: TokenKey,
    rs: TokenKey,
    /// The key of the issuer in the file.
    file: TokenKey,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let (ed, second_ed) = (TokenKey::ed25519("ed-1"), TokenKey::ed25519("ed-2"));
        let (es, rs, file) = (
            TokenKey::es256("es-1"),
            TokenKey::rs256("rs-1"),
            TokenKey::ed25519("file-1"),
        );
        let issuer = Issuer::start(MAIN, &[]).await;
        // Two keys with one name: a token that uses the name is ambiguous.
        let [twice, again] = [TokenKey::ed25519("twice"), TokenKey::ed25519("twice")];
        issuer.publish(&[&ed, &second_ed, &es, &rs, &twice, &again]);
        let narrow = Issuer::start(NARROW, &[&ed, &es, &rs]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, key_set(&[&file]).to_string()).unwrap();
        let from_file = IssuerConfig {
            jwks_file: path,
            ..issuer_config(FILE)
        };
        let mut pinned = narrow.config();
        pinned
            .algorithms
            .retain(|algorithm| format!("{algorithm:?}") == "ES256");
        let issuers = vec![issuer.config(), from_file, pinned];
        let byokd = Byokd::start_with(|config| {
            config.auth.issuers = issuers;
            config.auth.rules = serde_json::from_value(json!([
                {"issuer": MAIN, "claims": {"app": "agents"}, "roles_claim": "roles", "purposes_claim": "for",
                 "workspaces_claim": "org"},
                {"issuer": FILE, "roles": ["resolver"], "workspaces_claim": "org"},
                {"issuer": NARROW, "roles": ["resolver"], "workspaces": ["*"]},
            ]))
            .unwrap();
        })
        .await;
        Self {
            byokd,
            issuer,
            narrow,
            ed,
            second_ed,
            es,
            rs,
            file,
            _folder: folder,
        }
    }

    fn now(&self) -> i64 {
        self.byokd.clock.now().unix_timestamp()
    }

    /// The claims of a good token of the main issuer.
    fn claims(&self) -> Value {
        claims(MAIN, self.now())
    }

    async fn call(&self, token: &str) -> Result<(), Status> {
        resolve(self.byokd.channel(), token, "acme").await
    }
}

fn claims(issuer: &str, now: i64) -> Value {
    json!({"iss": issuer, "aud": "byokd", "sub": "agent-7", "iat": now, "nbf": now, "exp": now + 600,
           "app": "agents", "roles": ["resolver"], "for": "reply", "org": "acme"})
}

/// The same claims with another value for one.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

fn without(claims: &Value, name: &str) -> Value {
    let mut changed = claims.clone();
    changed.as_object_mut().unwrap().remove(name).unwrap();
    changed
}

/// Resolves a model that needs no key.
async fn resolve(channel: Channel, token: &str, workspace: &str) -> Result<(), Status> {
    let mut request = Request::new(ask(workspace, "llama", "", ""));
    // As bytes: a hostile token may contain a tab.
    let bearer = MetadataValue::try_from(format!("Bearer {token}").as_bytes()).unwrap();
    request.metadata_mut().insert("authorization", bearer);
    KeyServiceClient::new(channel)
        .resolve_credentials(request)
        .await
        .map(|_| ())
}

/// Refused with the one answer, which repeats nothing of the token.
fn assert_refused(answer: Result<(), Status>, what: &str) {
    let status = answer.expect_err(what);
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, REFUSED),
        "{what}"
    );
    assert_eq!(reason(&status), "CREDENTIALS_INVALID", "{what}");
    let details = status.get_error_details();
    let metadata = &details.error_info().unwrap().metadata;
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["trace_id"], "{what}");
    // The message, the reason, the domain and the id, and no more.
    assert!(status.details().len() < 300, "{what}: {status:?}");
}

#[tokio::test]
async fn tokens_of_external_issuers_are_accepted_with_each_algorithm_from_a_url_and_a_file() {
    let world = World::start().await;
    let good = world.claims();
    for key in [&world.ed, &world.second_ed, &world.es, &world.rs] {
        world.call(&key.token(&good)).await.unwrap();
    }
    world
        .call(&world.file.token(&claims(FILE, world.now())))
        .await
        .unwrap();
    world
        .call(&world.es.token(&claims(NARROW, world.now())))
        .await
        .unwrap();
    let now = world.now();
    let unnamed = json!({"alg": "ES256"});
    for (what, token) in [
        (
            "no kid, and one key of its algorithm",
            world.es.signed(&unnamed, &good),
        ),
        (
            "the leeway of exp",
            world.ed.token(&with(&good, "exp", json!(now - 30))),
        ),
        (
            "the leeway of nbf",
            world.ed.token(&with(&good, "nbf", json!(now + 30))),
        ),
        (
            "the leeway of iat",
            world.ed.token(&with(&good, "iat", json!(now + 30))),
        ),
        (
            "a broken second",
            world
                .ed
                .token(&with(&good, "exp", json!(now as f64 + 600.5))),
        ),
        (
            "the longest life",
            world
                .ed
                .token(&with(&good, "exp", json!(now + 24 * 60 * 60))),
        ),
        (
            "several audiences",
            world
                .ed
                .token(&with(&good, "aud", json!(["other", "byokd"]))),
        ),
        (
            "several workspaces",
            world
                .ed
                .token(&with(&good, "org", json!(["globex", "acme"]))),
        ),
        (
            "one role as a text",
            world.ed.token(&with(&good, "roles", json!("resolver"))),
        ),
        (
            "neither iat nor nbf",
            world.ed.token(&without(&without(&good, "iat"), "nbf")),
        ),
        ("headers that are not critical", {
            let header = json!({"alg": "EdDSA", "kid": "ed-1", "jku": "http://127.0.0.1:1/", "x5t": "x", "typ": "at+jwt"});
            world.ed.signed(header, &good)
        }),
    ] {
        world.call(&token).await.expect(what);
        // Once more, now that byokd has verified it.
        world.call(&token).await.expect(what);
    }
    assert_eq!((world.issuer.fetches(), world.narrow.fetches()), (1, 1));
}

#[tokio::test]
async fn a_good_token_grants_what_its_rule_says_and_no_more() {
    let world = World::start().await;
    let good = world.claims();
    for (name, value, why) in [
        ("roles", json!(["viewer"]), "ROLE_REQUIRED"),
        ("roles", json!(["operator"]), "ROLE_REQUIRED"),
        ("org", json!("globex"), "WORKSPACE_MISMATCH"),
        ("org", json!("ACME"), "WORKSPACE_MISMATCH"),
        ("org", json!(["globex", "acme-2"]), "WORKSPACE_MISMATCH"),
        ("for", json!("training"), "PURPOSE_NOT_GRANTED"),
    ] {
        let status = world
            .call(&world.ed.token(&with(&good, name, value.clone())))
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, why),
            "{name} = {value}"
        );
    }
}

/// A token expires at its `exp`, also if byokd verified it before.
#[tokio::test]
async fn a_verified_token_expires() {
    let world = World::start().await;
    let token = world.ed.token(&world.claims());
    world.call(&token).await.unwrap();
    world.byokd.pass(std::time::Duration::from_secs(630));
    world.call(&token).await.unwrap();
    world.byokd.pass(std::time::Duration::from_secs(1));
    assert_refused(world.call(&token).await, "expired");
    // A longer token is another token, however often the first was good.
    let token = world.ed.token(&world.claims());
    world.call(&token).await.unwrap();
    assert_refused(world.call(&format!("{token}A")).await, "one byte more");
    assert_refused(world.call(&token[..token.len() - 1]).await, "one byte less");
    let (_, message) = token
        .rsplit_once('.')
        .map(|(message, signature)| (signature, message))
        .unwrap();
    assert_refused(
        world.call(&format!("{message}.{}", encoded([0; 64]))).await,
        "another signature",
    );
}
