//! Headers that ask for another way to verify than the operator configured.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{super::World, Named};
use crate::support::{
    TokenKey,
    token_key::{encoded, message, with_secret},
};

/// Headers that ask for another way to verify.
pub(super) fn headers(world: &World, attacker: &TokenKey, server: &str) -> Named {
    let good = world.claims();
    let mut found = Named::new();
    let signature = world.ed.token(&good).rsplit_once('.').unwrap().1.to_owned();
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!(""),
        json!(null),
        json!(0),
        json!(["EdDSA"]),
        json!({}),
        json!("eddsa"),
        json!("EDDSA"),
        json!("EdDSA "),
        json!("Ed25519"),
        json!("ES256K"),
        json!("HS256"),
        json!("RS512"),
        json!("ES384"),
        json!("dir"),
    ] {
        let message = message(json!({"alg": alg, "kid": "ed-1"}), &good);
        found.push((
            format!("alg {alg} without a signature"),
            format!("{message}."),
        ));
        found.push((
            format!("alg {alg} with a signature of EdDSA"),
            world.ed.sign(&message),
        ));
        found.push((
            format!("alg {alg} with another token's signature"),
            format!("{message}.{signature}"),
        ));
    }
    found.push((
        "no alg".into(),
        world.ed.signed(json!({"kid": "ed-1"}), &good),
    ));
    for key in [&world.ed, &world.es, &world.rs] {
        for (at, form) in key.public_forms().iter().enumerate() {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let what = format!("{algorithm:?} under form {at} of {}", key.kid);
                found.push((what, with_secret(form, algorithm, &key.kid, &good)));
            }
        }
        found.push((
            format!("HS256 under nothing as {}", key.kid),
            with_secret(b"", Algorithm::HS256, &key.kid, &good),
        ));
        for other in [&world.ed, &world.es, &world.rs] {
            if other.kid != key.kid {
                found.push((
                    format!("{}'s token under the kid of {}", key.kid, other.kid),
                    key.signed(json!({"alg": key.header()["alg"], "kid": other.kid}), &good),
                ));
                found.push((
                    format!("{}'s token as {}", key.kid, other.kid),
                    key.signed(other.header(), &good),
                ));
            }
        }
    }
    found.push((
        "PS256 by an RSA key".into(),
        world
            .rs
            .signed(json!({"alg": "PS256", "kid": "rs-1"}), &good),
    ));
    // Signed with a key that the token itself contains.
    for kid in [json!("ed-1"), json!(attacker.kid), json!(null)] {
        for (name, value) in [
            ("jwk", attacker.public()),
            ("jku", json!(server)),
            ("x5u", json!(server)),
            ("x5c", json!([encoded([0x30; 64])])),
            ("x5t", json!("x")),
        ] {
            let header = json!({"alg": "EdDSA", "kid": kid, name: value});
            found.push((
                format!("{name} of an attacker under kid {kid}"),
                attacker.signed(header, &good),
            ));
        }
    }
    for (what, more) in [
        ("crit of what is known", json!({"crit": ["exp"], "exp": 1})),
        ("crit of what is unknown", json!({"crit": ["x"], "x": 1})),
        ("an empty crit", json!({"crit": []})),
        ("crit that is no list", json!({"crit": "exp"})),
        ("b64", json!({"crit": ["b64"], "b64": false})),
    ] {
        let mut header = world.ed.header();
        header
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        found.push((what.into(), world.ed.signed(header, &good)));
    }
    for kid in [
        json!("../../../dev/null"),
        json!("/etc/passwd"),
        json!("' OR 1=1 --"),
        json!("x' UNION SELECT 'key"),
        json!("k".repeat(4000)),
        json!(""),
        json!(null),
        json!(7),
        json!(["ed-1"]),
        json!({}),
        json!("ED-1"),
        json!("ed-1 "),
        json!("ed-1\0"),
        json!("ed"),
        json!("twice"),
        json!("file-1"),
        json!("$(id)"),
        json!("http://127.0.0.1/"),
    ] {
        found.push((
            format!("kid {:.40}", kid.to_string()),
            world.ed.signed(json!({"alg": "EdDSA", "kid": kid}), &good),
        ));
    }
    found.push((
        "no kid, and several keys".into(),
        world.ed.signed(json!({"alg": "EdDSA"}), &good),
    ));
    for raw in [
        r#"{"alg":"EdDSA","kid":"ed-1","alg":"EdDSA"}"#,
        r#"{"alg":"none","alg":"EdDSA","kid":"ed-1"}"#,
        r#"{"alg":"EdDSA","alg":"none","kid":"ed-1"}"#,
        r#"{"alg":"EdDSA","kid":"ed-2","kid":"ed-1"}"#,
        r#"["EdDSA"]"#,
        "null",
        "{}",
        r#"{"alg":"EdDSA","kid":"ed-1"} x"#,
        r#"{"alg":"EdDSA","kid":"ed-1""#,
        "",
    ] {
        found.push((format!("the header {raw}"), world.ed.signed(raw, &good)));
    }
    found
}
