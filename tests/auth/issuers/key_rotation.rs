//! Issuers that fail, recover and change their keys. byokd reads an issuer at most every 30 s, so this takes
//! a while.

use std::time::Duration;

use serde_json::json;

use super::{assert_refused, claims, resolve, with};
use crate::support::{
    Byokd, Issuer, Reply, TokenKey, token_key::key_set, until, wait::until_within,
};

/// Two reads and some more.
const LIMIT: Duration = Duration::from_secs(90);

/// The behavior of an issuer.
struct Story {
    issuer: Issuer,
    /// Its answer when byokd starts; `None`: its keys.
    at_first: Option<Reply>,
    /// Its answer after that; `None`: its keys.
    later: Option<Reply>,
    /// Whether its tokens are good at first, and after the second read.
    good: (bool, bool),
}

async fn stories(key: &TokenKey) -> Vec<Story> {
    // The target of a redirect: the right keys in the wrong place.
    let huge = || {
        Reply::text(
            200,
            format!("{}{}", key_set(&[key]), " ".repeat(300 * 1024)),
        )
    };
    let many: Vec<_> = std::iter::repeat_n(key.public(), 101).collect();
    let mut private = key.public();
    private["kty"] = json!("oct");
    private["k"] = json!("AAAA");
    let mut encrypts = key.public();
    encrypts["use"] = json!("enc");
    let mut stories = Vec::new();
    for (name, at_first, later, good) in [
        ("late", Some(Reply::text(500, "no")), None, (false, true)),
        (
            "down later",
            None,
            Some(Reply::text(503, "no")),
            (true, true),
        ),
        ("cut later", None, Some(Reply::cut(200)), (true, true)),
        ("hangs first", Some(Reply::hang()), None, (false, true)),
        ("hangs later", None, Some(Reply::hang()), (true, true)),
        ("drips later", None, Some(Reply::drip()), (true, true)),
        (
            "endless later",
            None,
            Some(Reply::endless(200)),
            (true, true),
        ),
        ("huge", Some(huge()), Some(huge()), (false, false)),
        ("huge later", None, Some(huge()), (true, true)),
        (
            "garbage",
            Some(Reply::html(200)),
            Some(Reply::text(200, "{}")),
            (false, false),
        ),
        ("garbage later", None, Some(Reply::html(200)), (true, true)),
        (
            "empty later",
            None,
            Some(Reply::json(200, &json!({"keys": []}))),
            (true, true),
        ),
        (
            "too many",
            Some(Reply::json(200, &json!({"keys": many}))),
            None,
            (false, true),
        ),
        (
            "symmetric",
            Some(Reply::json(200, &json!({"keys": [private]}))),
            None,
            (false, true),
        ),
        (
            "for encryption",
            Some(Reply::json(200, &json!({"keys": [encrypts]}))),
            None,
            (false, true),
        ),
        (
            "another status",
            Some(Reply::json(203, &key_set(&[key]))),
            None,
            (false, true),
        ),
    ] {
        let issuer =
            Issuer::start(&format!("https://{}.test", name.replace(' ', "-")), &[key]).await;
        stories.push(Story {
            issuer,
            at_first,
            later,
            good,
        });
    }
    stories
}

#[tokio::test]
async fn tokens_follow_the_state_of_their_issuer() {
    let (key, next) = (TokenKey::ed25519("first"), TokenKey::ed25519("next"));
    let mut stories = stories(&key).await;
    let target = Issuer::start("https://target.test", &[&key]).await;
    let redirect = Some(Reply::redirect(&target.config().jwks_url));
    let issuer = Issuer::start("https://redirect.test", &[&key]).await;
    stories.push(Story {
        issuer,
        at_first: redirect.clone(),
        later: redirect,
        good: (false, false),
    });
    let (turning, turned) = (
        Issuer::start("https://turning.test", &[&key]).await,
        Issuer::start("https://turned.test", &[&key]).await,
    );
    for story in &stories {
        if let Some(reply) = &story.at_first {
            story.issuer.answer(reply.clone());
        }
    }
    let byokd = Byokd::start_with(|config| {
        let all = stories.iter().map(|story| &story.issuer).chain([&turning, &turned]);
        config.auth.issuers = all.clone().map(Issuer::config).collect();
        let rule =
            |issuer: &Issuer| json!({"issuer": issuer.name, "roles": ["resolver"], "workspaces": ["*"]});
        config.auth.rules = serde_json::from_value(all.map(rule).collect()).unwrap();
    })
    .await;
    let now = byokd.clock.now().unix_timestamp();
    let call = async |issuer: &Issuer, key: &TokenKey, sub: &str| {
        let claims = with(&claims(&issuer.name, now), "sub", json!(sub));
        resolve(byokd.channel(), &key.token(&claims), "acme").await
    };
    let judge = |issuer: &Issuer, answer: Result<(), tonic::Status>, good: bool| match good {
        true => answer.unwrap_or_else(|status| panic!("{}: {status:?}", issuer.name)),
        false => assert_refused(answer, &issuer.name),
    };
    for Story { issuer, good, .. } in &stories {
        judge(issuer, call(issuer, &key, "before").await, good.0);
        assert_eq!(issuer.fetches(), 1, "{}", issuer.name);
    }
    // One publishes a new key beside the old one, the other in its place.
    for issuer in [&turning, &turned] {
        judge(issuer, call(issuer, &key, "kept").await, true);
        judge(issuer, call(issuer, &next, "new").await, false);
    }
    turning.publish(&[&key, &next]);
    turned.publish(&[&next]);
    for Story { issuer, later, .. } in &stories {
        match later {
            Some(reply) => issuer.answer(reply.clone()),
            None => issuer.publish(&[&key]),
        }
    }
    // Tokens with unknown keys keep asking for another read; there is one, not one for each.
    let unknown = TokenKey::ed25519("unknown");
    until_within(LIMIT, "all are read again", async || {
        for Story { issuer, .. } in &stories {
            judge(issuer, call(issuer, &unknown, "unknown").await, false);
        }
        stories
            .iter()
            .all(|story| story.issuer.fetches() >= 2)
            .then_some(())
    })
    .await;
    for issuer in [&turning, &turned] {
        until_within(LIMIT, "the new key", async || {
            call(issuer, &next, "new").await.is_ok().then_some(())
        })
        .await;
    }
    // The old key stays good where it is still published; elsewhere its tokens are refused, verified before
    // or not.
    judge(&turning, call(&turning, &key, "kept").await, true);
    judge(&turned, call(&turned, &key, "kept").await, false);
    judge(&turned, call(&turned, &key, "fresh").await, false);
    for Story { issuer, good, .. } in &stories {
        // byokd may still be processing the read that was seen; a read that hangs is given up.
        if good.1 && !good.0 {
            until(&issuer.name, async || {
                call(issuer, &key, "after").await.is_ok().then_some(())
            })
            .await;
        }
        judge(issuer, call(issuer, &key, "after").await, good.1);
        assert_eq!(
            issuer.fetches(),
            2,
            "{}: more than one read within 30 s",
            issuer.name
        );
    }
    assert_eq!(target.fetches(), 0, "a redirect was followed");
    // A key set that could not be read for a day is dropped, and the tokens verified with it.
    let lasting = with(
        &claims(&stories[1].issuer.name, now),
        "exp",
        json!(now + 86_400),
    );
    let lasting = key.token(&lasting);
    resolve(byokd.channel(), &lasting, "acme").await.unwrap();
    byokd.pass(Duration::from_secs(86_400));
    resolve(byokd.channel(), &lasting, "acme").await.unwrap();
    byokd.pass(Duration::from_secs(20));
    assert_refused(
        resolve(byokd.channel(), &lasting, "acme").await,
        "keys of the day before yesterday",
    );
}
