//! Tokens that are cut, joined, or encoded in another way than the one that is allowed.

use serde_json::json;

use super::{
    super::{World, with},
    Named,
};
use crate::support::token_key::{encoded, message};

/// A good token, encoded differently.
pub(super) fn written(world: &World) -> Named {
    let good = world.ed.token(&world.claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("{good}")
    };
    let less = |part: &str| part[..part.len() - 1].to_owned();
    let other = |part: &str| {
        // The last letter of a signature has four unused bits; with other bits it is another text.
        let last = part.as_bytes()[part.len() - 1];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.iter().position(|letter| *letter == last).unwrap();
        format!("{}{}", less(part), char::from(alphabet[at ^ 1]))
    };
    let nested = encoded(&good);
    let mut found: Named = [
        (
            "the header cut",
            format!("{}.{payload}.{signature}", less(header)),
        ),
        (
            "the claims cut",
            format!("{header}.{}.{signature}", less(payload)),
        ),
        (
            "the signature cut",
            format!("{header}.{payload}.{}", less(signature)),
        ),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..signature.len() / 2]),
        ),
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
        (
            "five parts, as a JWE has",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ),
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
        (
            "white space inside",
            format!("{header}. {payload}.{signature}"),
        ),
        ("a tab inside", format!("{header}.{payload}.\t{signature}")),
        ("padding", format!("{header}.{payload}.{signature}==")),
        (
            "a signature that is not canonical",
            format!("{header}.{payload}.{}", other(signature)),
        ),
        (
            "the alphabet of MIME",
            format!("{header}.{payload}.+/{}", &signature[2..]),
        ),
        ("a list of two", format!("{good},{good}")),
        ("the scheme twice", format!("Bearer {good}")),
        ("the scheme behind it", format!("{good} Bearer")),
        ("in quotes", format!("\"{good}\"")),
        (
            "a signature of zeros",
            format!("{header}.{payload}.{}", encoded([0; 64])),
        ),
        (
            "as bytes of JSON",
            encoded(
                json!({"protected": header, "payload": payload, "signature": signature})
                    .to_string(),
            ),
        ),
        (
            "a token inside a token",
            world
                .ed
                .signed(json!({"alg": "EdDSA", "kid": "ed-1", "cty": "JWT"}), &good),
        ),
        (
            "a token as the claims",
            world.ed.sign(&format!("{header}.{nested}")),
        ),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .into();
    let second = world.second_ed.token(&world.claims());
    let (other_message, other_signature) = second.rsplit_once('.').unwrap();
    found.push((
        "another key's signature".into(),
        format!("{header}.{payload}.{other_signature}"),
    ));
    found.push((
        "a signature over another header".into(),
        format!("{other_message}.{signature}"),
    ));
    let admin = message(
        world.ed.header(),
        with(&world.claims(), "roles", json!(["admin", "resolver"])),
    );
    found.push((
        "a signature over other claims".into(),
        format!("{admin}.{signature}"),
    ));
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
        found.push((
            format!("a signature of ES256 that is {what}"),
            format!("{message}.{}", encoded(bytes)),
        ));
    }
    for bytes in [9 * 1024, 12 * 1024] {
        let token = world.ed.token(&with(
            &world.claims(),
            "x",
            json!("x".repeat(bytes * 3 / 4)),
        ));
        found.push((format!("{} bytes", token.len()), token));
    }
    found
}
