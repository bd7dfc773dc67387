//! Tests of `rule`.

use serde_json::json;

use super::*;

fn rule(text: Value) -> Result<Rule, String> {
    serde_json::from_value(text).map_err(|error| error.to_string())
}

#[test]
fn a_rule_that_does_not_hold_together_does_not_parse() {
    let good = json!({"certificate": "spiffe://td/a", "roles": ["resolver"], "workspaces": ["*"]});
    assert!(rule(good.clone()).is_ok());
    for (key, value, fault) in [
        ("roles", json!([]), "no role"),
        ("roles", json!(["Resolver"]), "unknown variant"),
        ("roles", json!(["root"]), "unknown variant"),
        ("rpcs", json!(["Resolve"]), "unknown variant"),
        ("roles_claim", json!("roles"), "keep one"),
        ("workspaces", json!([]), "no workspaces"),
        ("workspaces", json!(["*", "acme"]), "stands alone"),
        ("workspaces", json!(["a/b"]), "a workspace must be"),
        ("workspaces_claim", json!("org"), "keep one"),
        ("purposes", json!(["Training"]), "a purpose must be"),
        ("purposes_claim", json!("p"), "cannot read claims"),
        ("certificate", json!(""), "matches no caller"),
        ("certificate", json!("spiffe://td/*/a"), "only end in"),
        ("certificate", json!("*.example.com"), "only end in"),
        ("certificate", json!("example.com/*"), "only end in"),
        ("issuer", json!("https://issuer"), "a rule for each"),
        ("claims", json!({"sub": "a"}), "has no claims"),
        ("role", json!("resolver"), "unknown field"),
    ] {
        let mut bad = good.clone();
        bad[key] = value.clone();
        let why = rule(bad).unwrap_err();
        assert!(why.contains(fault), "{key} = {value}: {why}");
    }
}

#[test]
fn a_certificates_name_fits_to_the_letter_or_below_a_path() {
    let fits = |pattern: &str, name: &str| {
        rule(json!({"certificate": pattern, "roles": ["viewer"], "workspaces": ["*"]}))
            .unwrap()
            .fits_certificate(name)
    };
    assert!(fits("spiffe://td/ns/a", "spiffe://td/ns/a"));
    assert!(!fits("spiffe://td/ns/a", "spiffe://td/ns/ab"));
    assert!(!fits("spiffe://td/ns/a", "spiffe://TD/ns/a"));
    assert!(fits("spiffe://td/ns/*", "spiffe://td/ns/a/b"));
    assert!(!fits("spiffe://td/ns/*", "spiffe://td/ns/"));
    assert!(!fits("spiffe://td/ns/*", "spiffe://td/nsx/a"));
    assert!(!fits("spiffe://td/*", "spiffe://td.evil/a"));
}

#[test]
fn claims_are_matched_and_read_in_their_form_only() {
    let rule = rule(json!({
        "issuer": "https://issuer", "claims": {"/kubernetes.io/namespace": "llm", "groups": "agents"},
        "roles_claim": "roles", "workspaces_claim": "org", "purposes": ["reply", "title"]
    }))
    .unwrap();
    let claims = json!({"kubernetes.io": {"namespace": "llm"}, "groups": ["x", "agents"],
                        "roles": ["resolver"], "org": "acme"});
    assert!(rule.fits_token("https://issuer", &claims));
    assert!(!rule.fits_token("https://issuer/", &claims));
    let rights = rule.rights(&claims).unwrap();
    assert!(rights.rpcs.contains(Rpc::ResolveCredentials) && !rights.rpcs.contains(Rpc::SetKey));
    assert_eq!(rights.purposes.len(), 2);
    assert!(matches!(&rights.scope, WorkspaceScope::Only(ids) if ids.len() == 1));
    for (name, value) in [
        ("org", json!(null)),
        ("org", json!("")),
        ("org", json!([])),
        ("org", json!("*")),
        ("org", json!(["acme", "*"])),
        ("org", json!(["acme", 1])),
        ("org", json!(7)),
        ("org", json!({"id": "acme"})),
        ("roles", json!("Resolver")),
        ("roles", json!(["resolver", "root"])),
        ("roles", json!([])),
    ] {
        let mut bad = claims.clone();
        bad[name] = value.clone();
        assert!(rule.rights(&bad).is_err(), "{name} = {value}");
    }
    for (name, value) in [
        ("groups", json!("agent")),
        ("groups", json!(null)),
        ("kubernetes.io", json!("llm")),
    ] {
        let mut bad = claims.clone();
        bad[name] = value.clone();
        assert!(!rule.fits_token("https://issuer", &bad), "{name} = {value}");
    }
}
