//! `byokd config check --as`: the rights of a certificate or token, as a server would decide; and rules that
//! stop the start.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    Site,
    ca::Ca,
    token_key::{TokenKey, key_set},
};

const ISSUER: &str = "https://login.test";

struct Folder {
    site: Site,
    callers: Ca,
    key: TokenKey,
}

impl Folder {
    async fn new() -> Self {
        let (site, callers, key) = (
            Site::on_sqlite().await,
            Ca::new("callers"),
            TokenKey::es256("k1"),
        );
        Ca::new("servers").server().write(&site.path("."), "server");
        std::fs::write(site.path("callers.pem"), callers.pem()).unwrap();
        std::fs::write(site.path("jwks.json"), key_set(&[&key]).to_string()).unwrap();
        let folder = Self { site, callers, key };
        folder.configure(&json!({
            "tls": {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "callers.pem"},
            "auth": {
                "issuers": [{"issuer": ISSUER, "audience": "byokd", "algorithms": ["ES256"], "jwks_file": "jwks.json"}],
                "rules": [
                    {"certificate": "spiffe://test/gateway", "roles": ["resolver", "viewer"], "purposes": ["reply", "training"],
                     "workspaces": ["*"]},
                    {"issuer": ISSUER, "roles_claim": "roles", "workspaces_claim": "org"},
                ],
            },
        }));
        folder
    }

    fn configure(&self, settings: &Value) {
        std::fs::write(
            self.site.path("byokd.toml"),
            toml::to_string(settings).unwrap(),
        )
        .unwrap();
    }

    fn check(&self, callers: &[&str]) -> Output {
        let mut arguments = vec!["config", "check", "-o", "json"];
        for caller in callers {
            arguments.extend(["--as", caller]);
        }
        self.site.command(&arguments).output().unwrap()
    }

    fn granted(&self, callers: &[&str]) -> Value {
        let output = self.check(callers);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, callers: &[&str]) -> String {
        let output = self.check(callers);
        assert_eq!(
            (output.status.code(), output.stdout.as_slice()),
            (Some(1), &b""[..]),
            "{output:?}"
        );
        String::from_utf8(output.stderr).unwrap()
    }

    fn token(&self, name: &str, roles: &Value, org: &Value) {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({"iss": ISSUER, "aud": ["byokd"], "sub": "alice", "exp": now + 600, "roles": roles, "org": org});
        std::fs::write(self.site.path(name), self.key.token(&claims)).unwrap();
    }
}

#[tokio::test]
async fn check_as_shows_the_rights_and_the_rule() {
    let folder = Folder::new().await;
    folder
        .callers
        .client("spiffe://test/gateway")
        .write(&folder.site.path("."), "gateway");
    folder.token("user.jwt", &json!(["admin"]), &json!("acme"));
    let service = folder.granted(&["gateway.crt"]);
    assert_eq!(
        service["proofs"],
        json!([{"subject": "spiffe://test/gateway", "rule": 0}])
    );
    assert_eq!(
        (&service["every_workspace"], &service["purposes"]),
        (&json!(true), &json!(["reply", "training"]))
    );
    let user = folder.granted(&["user.jwt"]);
    assert_eq!(
        user["proofs"],
        json!([{"subject": format!("{ISSUER}|alice"), "rule": 1}])
    );
    assert!(
        user["may_call"]
            .as_array()
            .unwrap()
            .contains(&json!("SetKey"))
    );
    // Together they grant no more than each.
    let both = folder.granted(&["gateway.crt", "user.jwt"]);
    assert_eq!(
        both["may_call"],
        json!([
            "ExplainResolution",
            "ListModels",
            "GetWorkspace",
            "ListKeyUsage"
        ])
    );
    assert_eq!(
        (&both["workspaces"], &both["purposes"]),
        (&json!(["acme"]), &json!(["reply"]))
    );
}

#[tokio::test]
async fn check_as_shows_the_reason_of_a_refusal() {
    let folder = Folder::new().await;
    folder
        .callers
        .client("spiffe://test/stranger")
        .write(&folder.site.path("."), "stranger");
    Ca::new("others")
        .client("spiffe://test/gateway")
        .write(&folder.site.path("."), "foreign");
    folder.token("no-org.jwt", &json!(["admin"]), &json!(""));
    folder.token("case.jwt", &json!(["Admin"]), &json!("acme"));
    std::fs::write(folder.site.path("no.jwt"), "eyJhbGciOiJub25lIn0.e30.").unwrap();
    for (caller, why) in [
        (
            "stranger.crt",
            "no rule is for a certificate of spiffe://test/stranger",
        ),
        ("foreign.crt", "a handshake refuses it"),
        ("no-org.jwt", "is absent, empty, or neither"),
        ("case.jwt", "unknown role"),
        ("no.jwt", "the token's header"),
        ("absent.jwt", "cannot be read"),
    ] {
        let said = folder.refused(&[caller]);
        assert!(
            said.contains(why) && said.contains(caller),
            "{caller}: {said}"
        );
    }
}

#[tokio::test]
async fn a_contradictory_issuer_or_rule_stops_the_start() {
    let folder = Folder::new().await;
    let issuer = |more: Value| {
        let mut issuer = json!({"issuer": ISSUER, "audience": "byokd", "algorithms": ["ES256"]});
        issuer
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"auth": {"issuers": [issuer]}})
    };
    let rule = |rule: Value| json!({"auth": {"rules": [rule]}});
    for (settings, why) in [
        (
            issuer(json!({"jwks_url": "https://10.0.0.8/jwks"})),
            "jwks_url may not be called",
        ),
        (
            issuer(json!({"jwks_url": "https://169.254.169.254/jwks"})),
            "jwks_url may not be called",
        ),
        (
            issuer(json!({"jwks_url": "http://login.test/jwks"})),
            "jwks_url may not be called",
        ),
        (
            issuer(json!({"jwks_url": "https://user@login.test/jwks"})),
            "jwks_url may not be called",
        ),
        (issuer(json!({})), "set one of `jwks_url` and `jwks_file`"),
        (
            issuer(json!({"jwks_file": "jwks.json", "algorithms": ["HS256"]})),
            "HS256",
        ),
        (
            issuer(json!({"jwks_file": "jwks.json", "issuer": "byokd"})),
            "the embedded signer's own name",
        ),
        (
            rule(json!({"issuer": "https://other.test", "roles": ["viewer"], "workspaces": ["*"]})),
            "not one of auth.issuers",
        ),
        (
            rule(json!({"certificate": "a.test", "roles": ["viewer"], "workspaces": ["*"]})),
            "tls.client_ca_file is not set",
        ),
        (
            rule(json!({"certificate": "a.test", "roles": ["owner"], "workspaces": ["*"]})),
            "unknown variant `owner`",
        ),
        (
            rule(
                json!({"certificate": "a.test", "roles": ["viewer"], "rpcs": ["Nothing"], "workspaces": ["*"]}),
            ),
            "unknown variant `Nothing`",
        ),
    ] {
        folder.configure(&settings);
        let said = folder.site.refused(folder.site.serve()).await;
        assert!(said.contains(why), "{settings}: {said}");
    }
}
