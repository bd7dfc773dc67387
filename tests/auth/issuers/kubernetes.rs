//! Projected service-account tokens, as Kubernetes issues them: no mapping, no sidecar.

use byokd::config::{IssuerConfig, TokenAlgorithm};
use serde_json::{Value, json};

use super::{assert_refused, resolve};
use crate::support::{Byokd, Ca, Issuer, TokenKey, reason};

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// The claims that the API server puts into a service account's token.
fn claims(namespace: &str, account: &str, now: i64) -> Value {
    json!({
        "aud": ["byokd"],
        "exp": now + 3607, "iat": now, "nbf": now,
        "iss": CLUSTER,
        "jti": "2f1b1c9e-5f0e-4f0a-9c1e-5d7a1b2c3d4e",
        "kubernetes.io": {
            "namespace": namespace,
            "node": {"name": "node-1", "uid": "5c1e0c0a-0000-4000-8000-000000000001"},
            "pod": {"name": "agent-6c9f", "uid": "5c1e0c0a-0000-4000-8000-000000000002"},
            "serviceaccount": {"name": account, "uid": "5c1e0c0a-0000-4000-8000-000000000003"},
        },
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
    })
}

/// A byokd in a cluster whose API server asks for a token and has its own CA.
async fn byokd(config: IssuerConfig) -> Byokd {
    Byokd::start_with(|settings| {
        settings.auth.issuers = vec![config];
        settings.auth.rules = serde_json::from_value(json!([
            {"issuer": CLUSTER, "claims": {"/kubernetes.io/namespace": "llm", "/kubernetes.io/serviceaccount/name": "agent"},
             "roles": ["resolver"], "workspaces": ["*"]},
            {"issuer": CLUSTER, "claims": {"sub": "system:serviceaccount:web:settings"}, "roles": ["admin"], "workspaces": ["*"]},
        ]))
        .unwrap();
    })
    .await
}

#[tokio::test]
async fn a_projected_service_account_token_is_good_as_it_comes() {
    let (ca, key, folder) = (
        Ca::new("cluster"),
        TokenKey::rs256("cluster-1"),
        tempfile::tempdir().unwrap(),
    );
    let cluster = Issuer::start_tls(CLUSTER, &[&key], &ca).await;
    cluster.ask_for("projected-token-of-byokd");
    let (ca_file, token_file) = (folder.path().join("ca.crt"), folder.path().join("token"));
    std::fs::write(&ca_file, ca.pem()).unwrap();
    std::fs::write(&token_file, "projected-token-of-byokd\n").unwrap();
    let good = IssuerConfig {
        algorithms: vec![TokenAlgorithm::RS256],
        jwks_ca_file: ca_file.clone(),
        jwks_token_file: token_file.clone(),
        ..cluster.config()
    };
    let in_cluster = byokd(good.clone()).await;
    let now = in_cluster.clock.now().unix_timestamp();
    let call =
        async |claims: &Value| resolve(in_cluster.channel(), &key.token(claims), "acme").await;
    call(&claims("llm", "agent", now)).await.unwrap();
    assert_eq!(cluster.fetches(), 1);
    for (namespace, account) in [
        ("llm", "other"),
        ("default", "agent"),
        ("llm2", "agent"),
        ("LLM", "agent"),
        ("", ""),
    ] {
        assert_refused(
            call(&claims(namespace, account, now)).await,
            &format!("{namespace}/{account}"),
        );
    }
    let status = call(&claims("web", "settings", now)).await.unwrap_err();
    assert_eq!(reason(&status), "ROLE_REQUIRED");
    // Not for byokd, or of the old kind without an expiry.
    for (what, name, value) in [
        ("for the API server", "aud", json!([CLUSTER])),
        ("without an end", "exp", json!(null)),
        (
            "with another namespace's shape",
            "kubernetes.io",
            json!("llm"),
        ),
        (
            "with a list for a shape",
            "kubernetes.io",
            json!(["llm", "agent"]),
        ),
    ] {
        let mut bad = claims("llm", "agent", now);
        bad[name] = value;
        assert_refused(call(&bad).await, what);
    }
    // A key set that cannot be read: no caller is accepted, and byokd exchanges nothing with a server outside
    // the CA.
    let other_ca = folder.path().join("other.crt");
    std::fs::write(&other_ca, Ca::new("cluster").pem()).unwrap();
    for (what, config, fetches) in [
        (
            "another CA",
            IssuerConfig {
                jwks_ca_file: other_ca,
                ..good.clone()
            },
            1,
        ),
        (
            "no CA",
            IssuerConfig {
                jwks_ca_file: Default::default(),
                ..good.clone()
            },
            1,
        ),
        (
            "no token",
            IssuerConfig {
                jwks_token_file: Default::default(),
                ..good.clone()
            },
            2,
        ),
        (
            "a token file that is missing",
            IssuerConfig {
                jwks_token_file: folder.path().join("none"),
                ..good
            },
            2,
        ),
    ] {
        let outside = byokd(config).await;
        let token = key.token(&claims(
            "llm",
            "agent",
            outside.clock.now().unix_timestamp(),
        ));
        assert_refused(resolve(outside.channel(), &token, "acme").await, what);
        assert_eq!(cluster.fetches(), fetches, "{what}");
    }
    let shown = |headers: &axum::http::HeaderMap| {
        headers
            .get("authorization")
            .is_some_and(|value| value == "Bearer projected-token-of-byokd")
    };
    assert_eq!(
        cluster.seen().iter().map(shown).collect::<Vec<_>>(),
        [true, false]
    );
}
