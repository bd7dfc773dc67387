//! Hostile tokens: each is refused with the one answer, and none makes byokd send a request.

mod claims;
mod encoding;
mod headers;

use serde_json::json;

use self::{claims::said, encoding::written, headers::headers};
use super::{FILE, MAIN, NARROW, World, assert_refused, claims as claims_of, with};
use crate::support::{Issuer, TokenKey};

/// The fault, and the token.
type Named = Vec<(String, String)>;

/// Good tokens of another issuer.
fn foreign(world: &World, attacker: &TokenKey) -> Named {
    let (main, file, narrow) = (
        world.claims(),
        claims_of(FILE, world.now()),
        claims_of(NARROW, world.now()),
    );
    let embedded = json!({"iss": "byokd", "aud": "byokd", "sub": "x", "iat": world.now(), "exp": world.now() + 600,
                          "roles": ["resolver", "admin"], "workspace": "*", "org": "acme"});
    let own = world
        .byokd
        .token(&[byokd::domain::caller::Role::Resolver], "*", &[]);
    let (own_message, _) = own.rsplit_once('.').unwrap();
    let stranger = with(&main, "iss", json!("https://stranger.test"));
    [
        ("an unknown issuer's", attacker.token(&stranger)),
        (
            "an unknown issuer's under a known key",
            world.ed.token(&stranger),
        ),
        (
            "an attacker's under a known name",
            attacker.signed(world.ed.header(), &main),
        ),
        (
            "the file's issuer's in the main one's name",
            world.file.token(&main),
        ),
        (
            "the file's key under the main one's kid",
            world.file.signed(world.ed.header(), &main),
        ),
        ("the main one's in the file's name", world.ed.token(&file)),
        (
            "the main one's under the file's kid",
            world.ed.signed(world.file.header(), &file),
        ),
        (
            "an algorithm that is published and not pinned, EdDSA",
            world.ed.token(&narrow),
        ),
        (
            "an algorithm that is published and not pinned, RS256",
            world.rs.token(&narrow),
        ),
        (
            "the embedded signer's name by a known key",
            world.ed.token(&embedded),
        ),
        (
            "the embedded signer's name by an attacker",
            attacker.token(&embedded),
        ),
        (
            "the embedded signer's name without a kid",
            attacker.signed(json!({"alg": "EdDSA"}), &embedded),
        ),
        (
            "the embedded signer's token without its signature",
            format!("{own_message}."),
        ),
        (
            "the embedded signer's claims by a known key",
            world.ed.sign(own_message),
        ),
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
async fn every_hostile_token_gets_the_same_refusal() {
    let (world, attacker) = (World::start().await, TokenKey::ed25519("attacker"));
    let elsewhere = Issuer::start("https://attacker.test", &[&attacker]).await;
    let server = elsewhere.config().jwks_url;
    let good = world.ed.token(&world.claims());
    let mut count = 0;
    for class in [
        headers(&world, &attacker, &server),
        said(&world),
        written(&world),
        foreign(&world, &attacker),
    ] {
        for (what, token) in class {
            assert_ne!(token, good, "{what}");
            assert_refused(world.call(&token).await, &what);
            count += 1;
        }
        // A good token stays good, before and after.
        world.call(&good).await.unwrap();
    }
    assert_eq!(
        elsewhere.fetches(),
        0,
        "byokd sent a request to a host in a token"
    );
    eprintln!("{count} hostile tokens: all refused");
    assert!(count >= 60);
}

/// However many unknown keys tokens name, byokd does not ask the issuer for each.
#[tokio::test]
async fn ten_thousand_unknown_keys_cause_at_most_one_more_fetch() {
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
                assert_refused(
                    super::resolve(channel.clone(), &token, "acme").await,
                    "an unknown kid",
                );
                if n % 100 == 0 {
                    // A token that was not used before.
                    let token =
                        key.token(&with(&claims, "sub", json!(format!("agent {caller} {n}"))));
                    super::resolve(channel.clone(), &token, "acme")
                        .await
                        .unwrap();
                }
            }
        });
    }
    callers.join_all().await;
    // One at the start, and one for each 30 s that the calls took.
    let allowed = 1 + usize::try_from(begun.elapsed().as_secs() / 30).unwrap() + 1;
    assert!(
        world.issuer.fetches() <= allowed,
        "{} fetches",
        world.issuer.fetches()
    );
}
