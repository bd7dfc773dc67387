//! Wrong claims under a good signature.

use serde_json::{Value, json};

use super::{
    super::{FILE, MAIN, World, with, without},
    Named,
};

/// Wrong claims under a good signature.
pub(super) fn said(world: &World) -> Named {
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
        (
            "iat",
            vec![
                json!(now + 31),
                json!(now.to_string()),
                json!(null),
                json!({}),
                json!(1e300),
            ],
        ),
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
    // Repeated claims: alike or not, first or last, plain or escaped, at any depth.
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
            let (last, first) = (
                format!("{open},\"{name}\":{value}}}"),
                format!("{{\"{name}\":{value},{}", &text[1..]),
            );
            let escaped = format!(
                "{open},\"\\u00{:02x}{}\":{value}}}",
                name.as_bytes()[0],
                &name[1..]
            );
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
        found.push((
            what.into(),
            world
                .ed
                .signed(world.ed.header(), format!("{open},{more}}}")),
        ));
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
        found.push((
            format!("claims that are {what}"),
            world.ed.signed(world.ed.header(), text),
        ));
    }
    found
}
