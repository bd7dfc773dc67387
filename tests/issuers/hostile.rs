//! Hostile tokens: every one refused with the one answer, and none makes byokd ask anybody.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{FILE, MAIN, NARROW, World, assert_refused, claims, with, without};
use crate::support::{
    Issuer, TokenKey,
    token_key::{encoded, message, with_secret},
};

type Named = Vec<(String, String)>;

/// Headers that ask for another way to verify.
fn headers(world: &World, attacker: &TokenKey, server: &str) -> Named {
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
        found.push((format!("alg {alg} without a signature"), format!("{message}.")));
        found.push((format!("alg {alg} with a signature of EdDSA"), world.ed.sign(&message)));
        found.push((format!("alg {alg} with another token's signature"), format!("{message}.{signature}")));
    }
    found.push(("no alg".into(), world.ed.signed(json!({"kid": "ed-1"}), &good)));
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
    found
        .push(("PS256 by an RSA key".into(), world.rs.signed(json!({"alg": "PS256", "kid": "rs-1"}), &good)));
    // Who signs with a key that the token brings itself.
    for kid in [json!("ed-1"), json!(attacker.kid), json!(null)] {
        for (name, value) in [
            ("jwk", attacker.public()),
            ("jku", json!(server)),
            ("x5u", json!(server)),
            ("x5c", json!([encoded([0x30; 64])])),
            ("x5t", json!("x")),
        ] {
            let header = json!({"alg": "EdDSA", "kid": kid, name: value});
            found.push((format!("{name} of an attacker under kid {kid}"), attacker.signed(header, &good)));
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
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
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
    found.push(("no kid, and several keys".into(), world.ed.signed(json!({"alg": "EdDSA"}), &good)));
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

/// Claims that are not as they must be, under a good signature.
fn said(world: &World) -> Named {
    let (good, now) = (world.claims(), world.now());
    let mut found = Named::new();
    let long = "s".repeat(257);
    let values: [(&str, Vec<Value>); 10] = [
        (
            "exp",
            vec![
                json!((now + 600).to_string()),
                json!(null),
                json!([now + 600]),
                json!({}),
                json!(true),
                json!(-1),
                json!(0),
                json!(1),
                json!(now - 31),
                json!(now + 24 * 60 * 60 + 1),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e300),
                json!(1.5),
            ],
        ),
        (
            "nbf",
            vec![
                json!(now + 31),
                json!(now.to_string()),
                json!(null),
                json!([now]),
                json!(u64::MAX),
                json!(-1.5),
            ],
        ),
        ("iat", vec![json!(now + 31), json!(now.to_string()), json!(null), json!({}), json!(1e300)]),
        (
            "aud",
            vec![
                json!("other"),
                json!(["other"]),
                json!([]),
                json!({}),
                json!("byokd "),
                json!("BYOKD"),
                json!("byokd/"),
                json!(7),
                json!(null),
                json!([["byokd"]]),
                json!({"byokd": "byokd"}),
                json!("byokd,other"),
            ],
        ),
        (
            "iss",
            vec![
                json!("https://ISSUER.test"),
                json!("https://issuer.test/"),
                json!(" https://issuer.test"),
                json!("https://issuer.test "),
                json!("http://issuer.test"),
                json!("issuer.test"),
                json!([MAIN]),
                json!(null),
                json!(7),
                json!(""),
                json!("byokd"),
                json!(FILE),
                json!("https://issuer.test.evil"),
                json!("https://issuer.test\0"),
            ],
        ),
        (
            "sub",
            vec![
                json!(""),
                json!(long),
                json!("two\nlines"),
                json!("a\0"),
                json!("\u{1b}[31m"),
                json!(7),
                json!(null),
                json!(["agent-7"]),
            ],
        ),
        (
            "org",
            vec![
                json!(""),
                json!(null),
                json!("*"),
                json!(["*"]),
                json!(["acme", "*"]),
                json!(7),
                json!(["acme", 7]),
                json!({"id": "acme"}),
                json!([]),
                json!("a/b"),
                json!(" acme"),
                json!("acme,globex"),
                json!(true),
                json!(["acme", ""]),
                json!(["acme", null]),
                json!([["acme"]]),
                json!("acme\0"),
                json!("w".repeat(129)),
            ],
        ),
        (
            "roles",
            vec![
                json!("Resolver"),
                json!(["RESOLVER"]),
                json!("resolver "),
                json!([]),
                json!(""),
                json!(["resolver", "root"]),
                json!(7),
                json!(null),
                json!("resolver admin"),
                json!({"resolver": true}),
                json!(["resolver", 7]),
            ],
        ),
        (
            "for",
            vec![
                json!("Reply"),
                json!(""),
                json!([]),
                json!(null),
                json!("*"),
                json!(["reply", 7]),
                json!("a b"),
            ],
        ),
        (
            "app",
            vec![
                json!("agent"),
                json!("Agents"),
                json!("agents "),
                json!(["other"]),
                json!(7),
                json!(null),
                json!({"agents": 1}),
                json!(""),
            ],
        ),
    ];
    for (name, values) in values {
        for value in values {
            let token = world.ed.token(&with(&good, name, value.clone()));
            found.push((format!("{name} = {:.40}", value.to_string()), token));
        }
    }
    for name in ["iss", "sub", "aud", "exp", "org", "roles", "for", "app"] {
        found.push((format!("no {name}"), world.ed.token(&without(&good, name))));
    }
    // What is said twice, alike or not, first or last, plain or disguised, at any depth.
    let text = good.to_string();
    let open = text.strip_suffix('}').unwrap();
    for (name, other) in [
        ("iss", json!(FILE)),
        ("aud", json!("other")),
        ("sub", json!("boss")),
        ("exp", json!(now + 9999)),
        ("nbf", json!(0)),
        ("org", json!("globex")),
        ("roles", json!(["admin"])),
        ("app", json!("agents")),
        ("for", json!("training")),
    ] {
        for value in [good[name].clone(), other] {
            let (last, first) =
                (format!("{open},\"{name}\":{value}}}"), format!("{{\"{name}\":{value},{}", &text[1..]));
            let escaped = format!("{open},\"\\u00{:02x}{}\":{value}}}", name.as_bytes()[0], &name[1..]);
            for (how, text) in [("last", last), ("first", first), ("escaped", escaped)] {
                found.push((
                    format!("{name} twice, {how}: {value}"),
                    world.ed.signed(world.ed.header(), text),
                ));
            }
        }
    }
    for (what, more) in [
        ("something unknown twice", r#""x":1,"x":1"#),
        ("twice inside", r#""x":{"a":1,"a":2}"#),
        ("twice in a list", r#""x":[{"a":1,"a":1}]"#),
        ("twice far inside", r#""x":{"a":[{"b":{"c":1,"c":1}}]}"#),
        ("an endless number", r#""x":1e999"#),
        ("an exp beyond all numbers", r#""exp":1e999"#),
    ] {
        found.push((what.into(), world.ed.signed(world.ed.header(), format!("{open},{more}}}"))));
    }
    let deep = format!("{open},\"x\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    for (what, text) in [
        ("nested too deep", deep.as_str()),
        ("a list", "[1]"),
        ("null", "null"),
        ("a text", "\"x\""),
        ("nothing", ""),
        ("two objects", &format!("{text}{text}")),
        ("more behind it", &format!("{text} x")),
        ("half of it", &text[..text.len() / 2]),
        ("a mark before it", &format!("\u{feff}{text}")),
    ] {
        found.push((format!("claims that are {what}"), world.ed.signed(world.ed.header(), text)));
    }
    found
}

/// A good token, written otherwise.
fn written(world: &World) -> Named {
    let good = world.ed.token(&world.claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{good}") };
    let less = |part: &str| part[..part.len() - 1].to_owned();
    let other = |part: &str| {
        // The last letter of a signature has four bits that mean nothing; written otherwise it is another text.
        let last = part.as_bytes()[part.len() - 1];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.iter().position(|letter| *letter == last).unwrap();
        format!("{}{}", less(part), char::from(alphabet[at ^ 1]))
    };
    let nested = encoded(&good);
    let mut found: Named = [
        ("the header cut", format!("{}.{payload}.{signature}", less(header))),
        ("the claims cut", format!("{header}.{}.{signature}", less(payload))),
        ("the signature cut", format!("{header}.{payload}.{}", less(signature))),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..signature.len() / 2])),
        ("no header", format!(".{payload}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("one part", header.to_owned()),
        ("dots", "..".to_owned()),
        ("more dots", ".....".to_owned()),
        ("nothing", String::new()),
        ("a dot behind it", format!("{good}.")),
        ("two dots behind it", format!("{good}..")),
        ("a dot before it", format!(".{good}")),
        ("a part more", format!("{good}.{signature}")),
        ("five parts, as a JWE has", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        (
            "a JWE",
            format!(
                "{}.{}.{}.{}.{}",
                encoded(r#"{"alg":"dir","enc":"A256GCM"}"#),
                "",
                encoded([1; 12]),
                payload,
                encoded([2; 16])
            ),
        ),
        ("white space inside", format!("{header}. {payload}.{signature}")),
        ("a tab inside", format!("{header}.{payload}.\t{signature}")),
        ("padding", format!("{header}.{payload}.{signature}==")),
        ("a signature that is not canonical", format!("{header}.{payload}.{}", other(signature))),
        ("the alphabet of MIME", format!("{header}.{payload}.+/{}", &signature[2..])),
        ("a list of two", format!("{good},{good}")),
        ("the scheme twice", format!("Bearer {good}")),
        ("the scheme behind it", format!("{good} Bearer")),
        ("in quotes", format!("\"{good}\"")),
        ("a signature of zeros", format!("{header}.{payload}.{}", encoded([0; 64]))),
        (
            "as bytes of JSON",
            encoded(json!({"protected": header, "payload": payload, "signature": signature}).to_string()),
        ),
        (
            "a token inside a token",
            world.ed.signed(json!({"alg": "EdDSA", "kid": "ed-1", "cty": "JWT"}), &good),
        ),
        ("a token as the claims", world.ed.sign(&format!("{header}.{nested}"))),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .into();
    let second = world.second_ed.token(&world.claims());
    let (other_message, other_signature) = second.rsplit_once('.').unwrap();
    found.push(("another key's signature".into(), format!("{header}.{payload}.{other_signature}")));
    found.push(("a signature over another header".into(), format!("{other_message}.{signature}")));
    let admin = message(world.ed.header(), with(&world.claims(), "roles", json!(["admin", "resolver"])));
    found.push(("a signature over other claims".into(), format!("{admin}.{signature}")));
    for (what, bytes) in [
        ("r = s = 0", vec![0; 64]),
        ("none", Vec::new()),
        ("longer", vec![0; 65]),
        ("DER", {
            let mut der = vec![0x30, 6, 2, 1, 1, 2, 1, 1];
            der.resize(64, 0);
            der
        }),
    ] {
        let message = message(world.es.header(), world.claims());
        found.push((format!("a signature of ES256 that is {what}"), format!("{message}.{}", encoded(bytes))));
    }
    for bytes in [9 * 1024, 12 * 1024] {
        let token = world.ed.token(&with(&world.claims(), "x", json!("x".repeat(bytes * 3 / 4))));
        found.push((format!("{} bytes", token.len()), token));
    }
    found
}

/// Good tokens of somebody else.
fn foreign(world: &World, attacker: &TokenKey) -> Named {
    let (main, file, narrow) = (world.claims(), claims(FILE, world.now()), claims(NARROW, world.now()));
    let embedded = json!({"iss": "byokd", "aud": "byokd", "sub": "x", "iat": world.now(), "exp": world.now() + 600,
                          "roles": ["resolver", "admin"], "workspace": "*", "org": "acme"});
    let own = world.byokd.token(&[byokd::domain::principal::Role::Resolver], "*", &[]);
    let (own_message, _) = own.rsplit_once('.').unwrap();
    let stranger = with(&main, "iss", json!("https://stranger.test"));
    [
        ("an unknown issuer's", attacker.token(&stranger)),
        ("an unknown issuer's under a known key", world.ed.token(&stranger)),
        ("an attacker's under a known name", attacker.signed(world.ed.header(), &main)),
        ("the file's issuer's in the main one's name", world.file.token(&main)),
        ("the file's key under the main one's kid", world.file.signed(world.ed.header(), &main)),
        ("the main one's in the file's name", world.ed.token(&file)),
        ("the main one's under the file's kid", world.ed.signed(world.file.header(), &file)),
        ("an algorithm that is published and not pinned, EdDSA", world.ed.token(&narrow)),
        ("an algorithm that is published and not pinned, RS256", world.rs.token(&narrow)),
        ("the embedded signer's name by a known key", world.ed.token(&embedded)),
        ("the embedded signer's name by an attacker", attacker.token(&embedded)),
        ("the embedded signer's name without a kid", attacker.signed(json!({"alg": "EdDSA"}), &embedded)),
        ("the embedded signer's token without its signature", format!("{own_message}.")),
        ("the embedded signer's claims by a known key", world.ed.sign(own_message)),
        (
            "the embedded signer's claims in a known name",
            world.ed.token(&with(&embedded, "iss", json!(MAIN))),
        ),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .into()
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
async fn every_hostile_token_is_refused_and_told_nothing() {
    let (world, attacker) = (World::start().await, TokenKey::ed25519("attacker"));
    let elsewhere = Issuer::start("https://attacker.test", &[&attacker]).await;
    let server = elsewhere.config().jwks_url;
    let good = world.ed.token(&world.claims());
    let mut count = 0;
    for class in
        [headers(&world, &attacker, &server), said(&world), written(&world), foreign(&world, &attacker)]
    {
        for (what, token) in class {
            assert_ne!(token, good, "{what}");
            assert_refused(world.call(&token).await, &what);
            count += 1;
        }
        // A good one goes on being good, before and after.
        world.call(&good).await.unwrap();
    }
    assert_eq!(elsewhere.fetches(), 0, "byokd went where a token told it to");
    eprintln!("{count} hostile tokens: all refused");
    assert!(count >= 60);
}

/// However many keys are asked for that are not there, the issuer is not asked for each.
#[tokio::test]
async fn ten_thousand_unknown_keys_lead_to_one_more_fetch_at_the_most() {
    const CALLERS: u32 = 8;
    let world = World::start().await;
    let begun = std::time::Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (channel, key, claims) = (world.byokd.channel(), world.ed.clone(), world.claims());
        callers.spawn(async move {
            for n in 0..10_000 / CALLERS {
                let kid = uuid::Uuid::new_v4().to_string();
                let token = key.signed(json!({"alg": "EdDSA", "kid": kid}), &claims);
                assert_refused(super::resolve(channel.clone(), &token, "acme").await, "an unknown kid");
                if n % 100 == 0 {
                    // One that nobody has seen before.
                    let token = key.token(&with(&claims, "sub", json!(format!("agent {caller} {n}"))));
                    super::resolve(channel.clone(), &token, "acme").await.unwrap();
                }
            }
        });
    }
    callers.join_all().await;
    // One at the start, and one for each 30 s that the calls took.
    let allowed = 1 + usize::try_from(begun.elapsed().as_secs() / 30).unwrap() + 1;
    assert!(world.issuer.fetches() <= allowed, "{} fetches", world.issuer.fetches());
}
