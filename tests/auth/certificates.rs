//! Callers with certificates: accepted and refused certificates, and the texts of a refusal.

mod bad;
mod handshake;
mod rotation;

use byokd::{
    contract::v1::key_service_client::KeyServiceClient,
    domain::{caller::Role, clock::Clock},
    identity::{MintRequest, Signer, mint},
};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue, transport::Channel};

use crate::support::{
    Byokd, Ca, Issued, Process, Site, ask,
    ca::{connect, san},
    reason,
};

/// The one text of every refusal.
const REFUSED: &str =
    "the certificate or token is not valid here; byokd's log says why under the trace id";

/// A byokd process that asks its callers for certificates.
struct Guarded {
    site: Site,
    process: Process,
    /// Signs the server's certificate.
    servers: Ca,
    /// Signs the callers' certificates.
    callers: Ca,
}

impl Guarded {
    /// Serves callers by these rules: certificate to roles.
    async fn start(client_certificates: &str) -> Self {
        let (site, servers, callers) = (Site::new().await, Ca::new("servers"), Ca::new("callers"));
        let (certificate, key) = servers.server().write(&site.path(""), "server");
        std::fs::write(site.path("callers.crt"), callers.pem()).unwrap();
        let tls = json!({"cert_file": certificate, "key_file": key, "client_ca_file": site.path("callers.crt"),
                         "client_certificates": client_certificates});
        let process = configured(&site, &tls).await;
        Self {
            site,
            process,
            servers,
            callers,
        }
    }

    fn address(&self) -> &str {
        self.process.address.strip_prefix("https://").unwrap()
    }

    async fn connect(&self, shown: Option<&Issued>) -> Result<Channel, tonic::transport::Error> {
        connect(self.address(), &self.servers.pem(), shown).await
    }

    /// Resolves over a new connection.
    async fn resolve(&self, shown: Option<&Issued>, token: Option<&str>) -> Result<(), Status> {
        match self.connect(shown).await {
            Ok(channel) => resolve(channel, token).await,
            Err(error) => Err(Status::unavailable(format!("{error:?}"))),
        }
    }

    /// A token of the embedded signer.
    fn token(&self, role: Role, workspace: &str) -> String {
        let signer = Signer::in_folder(&self.site.data()).unwrap();
        let (subject, workspace) = ("tests".to_owned(), workspace.to_owned());
        let request = MintRequest {
            subject,
            roles: vec![role],
            workspace,
            purposes: Vec::new(),
        };
        mint(&signer, &request, &Clock::system()).unwrap()
    }
}

/// The rules of all tests here.
fn rules() -> Value {
    let rule = |name: &str| json!({"certificate": name, "roles": ["resolver", "admin"], "workspaces": ["*"]});
    json!([
        rule("spiffe://test/agent"),
        rule("spiffe://test/ns/*"),
        rule("agent.test"),
        rule("agents.test")
    ])
}

async fn configured(site: &Site, tls: &Value) -> Process {
    let file = toml::to_string(&json!({"tls": tls, "auth": {"rules": rules()}})).unwrap();
    std::fs::write(site.path("byokd.toml"), file).unwrap();
    site.start().await
}

/// Resolves a model that needs no key.
async fn resolve(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(ask("acme", "llama", "", ""));
    if let Some(token) = token {
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    KeyServiceClient::new(channel)
        .resolve_credentials(request)
        .await
        .map(|_| ())
}

/// Refused by byokd itself, with the one answer.
fn assert_refused(answer: Result<(), Status>, what: &str) {
    let status = answer.expect_err(what);
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, REFUSED),
        "{what}"
    );
    assert_eq!(reason(&status), "CREDENTIALS_INVALID", "{what}");
}

/// Refused by the handshake.
fn assert_cut(answer: Result<(), Status>, what: &str) {
    let status = answer.expect_err(what);
    assert!(
        status.details().is_empty() && status.code() != Code::Unauthenticated,
        "{what}: {status:?}"
    );
}

#[tokio::test]
async fn a_certificate_identifies_the_caller() {
    let byokd = Guarded::start("required").await;
    let between = byokd.callers.below("between");
    for name in [
        "spiffe://test/agent",
        "spiffe://test/ns/a",
        "spiffe://test/ns/a/b",
        "agent.test",
    ] {
        byokd
            .resolve(Some(&byokd.callers.client(name)), None)
            .await
            .expect(name);
        byokd
            .resolve(Some(&between.client(name)), None)
            .await
            .expect(name);
    }
    // Other names beside the one do not count.
    let beside = byokd.callers.issue(|params| {
        params.subject_alt_names = ["other.test", "spiffe://test/agent", "agents.test"]
            .map(san)
            .to_vec();
    });
    byokd.resolve(Some(&beside), None).await.unwrap();
    for kind in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384, &PKCS_RSA_SHA256] {
        let key = KeyPair::generate_for(kind).unwrap();
        let agent = byokd.callers.issue_for(&key, |params| {
            params.subject_alt_names = vec![san("agent.test")]
        });
        byokd.resolve(Some(&agent), None).await.unwrap();
    }
}

#[tokio::test]
async fn certificate_and_token_must_both_be_good() {
    let byokd = Guarded::start("required").await;
    let agent = byokd.callers.client("spiffe://test/agent");
    let (good, elsewhere) = (
        byokd.token(Role::Resolver, "acme"),
        byokd.token(Role::Resolver, "globex"),
    );
    byokd.resolve(Some(&agent), Some(&good)).await.unwrap();
    let viewer = byokd.token(Role::Viewer, "*");
    for (token, why) in [
        (&elsewhere, "WORKSPACE_MISMATCH"),
        (&viewer, "ROLE_REQUIRED"),
    ] {
        let status = byokd.resolve(Some(&agent), Some(token)).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, why)
        );
    }
    let cut = &good[..good.len() - 1];
    for token in ["", "x", cut] {
        assert_refused(byokd.resolve(Some(&agent), Some(token)).await, token);
    }
    let stranger = byokd.callers.client("spiffe://test/stranger");
    assert_refused(
        byokd.resolve(Some(&stranger), Some(&good)).await,
        "a token does not make up for it",
    );
}

/// An `authorization` header that is not one token is refused, because the certificate may grant more.
#[tokio::test]
async fn a_good_certificate_does_not_excuse_a_malformed_token() {
    let byokd = Guarded::start("required").await;
    let channel = byokd
        .connect(Some(&byokd.callers.client("spiffe://test/agent")))
        .await
        .unwrap();
    let token = byokd.token(Role::Resolver, "*");
    let bytes = |value: &[u8]| AsciiMetadataValue::try_from(value).unwrap();
    let text = |value: &str| bytes(value.as_bytes());
    let bearer = format!("Bearer {token}");
    for (what, values) in [
        ("empty", vec![text("")]),
        ("bare", vec![text(&token)]),
        ("another scheme", vec![text(&format!("Basic {token}"))]),
        (
            "not a text",
            vec![bytes(&[bearer.as_bytes(), &[0xff]].concat())],
        ),
        ("not a text at all", vec![bytes(&[0x80])]),
        ("twice", vec![text(&bearer), text(&bearer)]),
        (
            "a good one and a bad one",
            vec![text(&bearer), text("Bearer x")],
        ),
        ("two in one", vec![text(&format!("{bearer}, {bearer}"))]),
        ("a tab inside", vec![text(&format!("Bearer\t{token}"))]),
    ] {
        let mut request = Request::new(ask("acme", "llama", "", ""));
        for value in values {
            request.metadata_mut().append("authorization", value);
        }
        let answer = KeyServiceClient::new(channel.clone())
            .resolve_credentials(request)
            .await;
        assert_refused(answer.map(|_| ()), what);
    }
    resolve(channel, Some(&token)).await.unwrap();
}

#[tokio::test]
async fn a_token_suffices_where_a_certificate_is_optional() {
    let byokd = Guarded::start("optional").await;
    let token = byokd.token(Role::Resolver, "acme");
    byokd.resolve(None, Some(&token)).await.unwrap();
    let status = byokd.resolve(None, None).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "CREDENTIALS_MISSING")
    );
    byokd
        .resolve(Some(&byokd.callers.client("agent.test")), None)
        .await
        .unwrap();
    // A certificate that is presented must be good.
    let foreign = Ca::new("callers").client("spiffe://test/agent");
    assert_cut(
        byokd.resolve(Some(&foreign), Some(&token)).await,
        "another CA",
    );
    let stranger = byokd.callers.client("spiffe://test/stranger");
    assert_refused(
        byokd.resolve(Some(&stranger), Some(&token)).await,
        "not listed",
    );
}

#[tokio::test]
async fn a_certificate_that_expires_ends_its_open_connection() {
    let (servers, callers) = (Ca::new("servers"), Ca::new("callers"));
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = servers.server().write(folder.path(), "server");
    std::fs::write(folder.path().join("callers.crt"), callers.pem()).unwrap();
    let byokd = Byokd::start_with(|config| {
        config.tls.cert_file = certificate;
        config.tls.key_file = key;
        config.tls.client_ca_file = folder.path().join("callers.crt");
        config.auth.rules = serde_json::from_value(rules()).unwrap();
    })
    .await;
    let expires = byokd.clock.now() + time::Duration::minutes(10);
    let agent = callers.issue(|params| {
        params.subject_alt_names = vec![san("agent.test")];
        params.not_after = expires;
    });
    let channel = connect(byokd.address(), &servers.pem(), Some(&agent))
        .await
        .unwrap();
    let token = byokd.token(&[Role::Resolver], "*", &[]);
    byokd.pass(std::time::Duration::from_secs(600));
    for token in [None, Some(token.as_str())] {
        resolve(channel.clone(), token).await.unwrap();
    }
    byokd.pass(std::time::Duration::from_secs(1));
    for token in [None, Some(token.as_str())] {
        assert_refused(resolve(channel.clone(), token).await, "expired");
    }
}
