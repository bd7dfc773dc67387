//! SetPlatformKey: the same verdicts as SetKey, for the platform's own keys.

use byokd::contract::v1::{self, Badge, Verdict};

use super::set_key::{answers::openai, follows, play, refuses};
use crate::support::{Byokd, openai_key};

#[tokio::test]
async fn the_platforms_key_is_judged_alike() {
    let byokd = Byokd::start().await;
    for (what, script, verdict) in openai() {
        play(&byokd, &(None, None));
        byokd.set_platform_key("openai", &openai_key(1)).await;
        play(&byokd, &script);
        let request = v1::SetPlatformKeyRequest {
            provider: "openai".into(),
            api_key: openai_key(2),
            ..Default::default()
        };
        let set = byokd.operator().set_platform_key(request).await;
        let serving = match follows(verdict) {
            Ok(badge) => {
                let key = set.unwrap().into_inner().key.unwrap();
                assert_eq!((key.badge(), key.verdict()), (badge, verdict), "{what}");
                openai_key(2)
            }
            Err(expected) => {
                refuses(&set.unwrap_err(), verdict, expected, what);
                openai_key(1)
            }
        };
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            serving,
            "{what}"
        );
    }
}

#[tokio::test]
async fn validate_only_stores_no_platform_key_either() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    let request = v1::SetPlatformKeyRequest {
        provider: "openai".into(),
        api_key: openai_key(2),
        validate_only: true,
        ..Default::default()
    };
    let answer = byokd
        .operator()
        .set_platform_key(request)
        .await
        .unwrap()
        .into_inner();
    let key = answer.key.unwrap();
    assert_eq!(
        (key.badge(), key.verdict()),
        (Badge::Connected, Verdict::Valid)
    );
    assert_eq!(
        (key.key_id.as_str(), key.generation, answer.revision),
        ("", 0, 1)
    );
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
}
