//! VerifyKey and VerifyPlatformKey: three refusals over ten minutes condemn a stored key, nothing less does,
//! and one success clears it.

mod holder;

use std::sync::Arc;

use byokd::contract::v1::{Badge, Verdict};
use holder::{BOTH, Whose, minutes};
use tokio::sync::Semaphore;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{Byokd, Reply, new_key, openai_key, reason, refused, until};

fn wrong_key() -> Reply {
    Reply::openai_wrong_key(&openai_key(1))
}

#[tokio::test]
async fn without_a_key_there_is_nothing_to_verify() {
    let byokd = Byokd::start().await;
    for whose in BOTH {
        let status = whose.try_verify(&byokd, "").await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::NotFound, "KEY_NOT_FOUND")
        );
        assert_eq!(whose.revision(&byokd).await, 0);
    }
    assert!(byokd.provider.requests().is_empty());
}

#[tokio::test]
async fn one_refusal_shows_in_the_badge_and_the_key_still_serves() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        let before = whose.revision(&byokd).await;
        byokd.provider.on_list(wrong_key());
        let (key, verdict) = whose.try_verify(&byokd, "").await.unwrap();
        assert_eq!((key.badge(), verdict), (Badge::Failing, Verdict::Invalid));
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
        assert_eq!(
            whose.revision(&byokd).await,
            before + 1,
            "a badge that changed is a change"
        );
    }
}

#[tokio::test]
async fn three_refusals_over_ten_minutes_condemn() {
    for (whose, why) in [
        (Whose::Workspace, "BYO_KEY_REJECTED"),
        (Whose::Platform, "PLATFORM_KEY_REJECTED"),
    ] {
        let byokd = whose.standing().await;
        byokd.provider.on_list(wrong_key());
        assert_eq!(whose.badge(&byokd).await, Badge::Failing);
        minutes(&byokd, 5);
        assert_eq!(whose.badge(&byokd).await, Badge::Failing);
        minutes(&byokd, 5);
        byokd
            .provider
            .on_list(Reply::openai_error(401, Some("mismatched_project"), ""));
        assert_eq!(whose.badge(&byokd).await, Badge::Rejected);

        let byokd = byokd.restart().await;
        let status = byokd.resolve("acme", "", "openai").await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, why)
        );
        let metadata = status.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata["verdict"], "ORG_PROBLEM");
        assert_eq!(metadata["checked_at"], "2030-06-15T12:10:00Z");
        if matches!(whose, Whose::Workspace) {
            let toggled = byokd.toggle("acme", true).await;
            assert!(
                toggled
                    .providers_without_usable_key
                    .contains(&"openai".to_owned())
            );
        }

        byokd.provider.models_ok(&["small-2030"]);
        let (key, verdict) = whose.try_verify(&byokd, "").await.unwrap();
        assert_eq!((key.badge(), verdict), (Badge::Connected, Verdict::Valid));
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    }
}

#[tokio::test]
async fn three_refusals_within_nine_minutes_do_not() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        byokd.provider.on_list(wrong_key());
        for wait in [0, 4, 5] {
            minutes(&byokd, wait);
            assert_eq!(whose.badge(&byokd).await, Badge::Failing);
        }
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
        minutes(&byokd, 60);
        assert_eq!(
            byokd.secret("acme", "openai").await.unwrap(),
            openai_key(1),
            "time alone condemns no key"
        );
        assert_eq!(whose.badge(&byokd).await, Badge::Rejected);
    }
}

#[tokio::test]
async fn one_success_resets_the_count() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        let rows = [
            (wrong_key(), Badge::Failing),
            (wrong_key(), Badge::Failing),
            (Reply::models(&["small-2030"]), Badge::Connected),
            (wrong_key(), Badge::Failing),
            (wrong_key(), Badge::Failing),
            // A busy provider is no success.
            (Reply::openai_rate_limited(1), Badge::Failing),
            (wrong_key(), Badge::Rejected),
            (Reply::openai_rate_limited(1), Badge::Rejected),
            (Reply::models(&["small-2030"]), Badge::Connected),
        ];
        for (reply, badge) in rows {
            byokd.provider.on_list(reply);
            assert_eq!(whose.badge(&byokd).await, badge);
            minutes(&byokd, 10);
        }
    }
}

#[tokio::test]
async fn an_inconclusive_check_neither_adds_nor_clears() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        let nothing = [
            (Reply::text(500, ""), Verdict::ProviderDown),
            (Reply::cut(200), Verdict::Unreachable),
            (Reply::html(200), Verdict::Unexpected),
        ];
        let all_nothing = async |badge| {
            let before = whose.revision(&byokd).await;
            for (reply, taught) in nothing.clone() {
                minutes(&byokd, 5);
                byokd.provider.on_list(reply);
                let (key, verdict) = whose.try_verify(&byokd, "").await.unwrap();
                assert_eq!((key.badge(), verdict), (badge, taught));
            }
            assert_eq!(whose.revision(&byokd).await, before);
        };
        all_nothing(Badge::Connected).await;
        byokd.provider.on_list(wrong_key());
        assert_eq!(whose.badge(&byokd).await, Badge::Failing);
        assert_eq!(whose.badge(&byokd).await, Badge::Failing);
        all_nothing(Badge::Failing).await;
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
        byokd.provider.on_list(wrong_key());
        assert_eq!(whose.badge(&byokd).await, Badge::Rejected);
        all_nothing(Badge::Rejected).await;
    }
}

#[tokio::test]
async fn a_named_model_is_the_one_that_is_probed() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        let rows = [
            ("", "small-2030"),
            ("large", "large-2030"),
            ("small-2030", "small-2030"),
            ("whisper-9", "whisper-9"),
        ];
        for (model, tried) in rows {
            byokd.provider.forget_requests();
            whose.try_verify(&byokd, model).await.unwrap();
            assert_eq!(byokd.provider.models_tried(), [tried], "{model}");
        }
        byokd.provider.forget_requests();
        for (model, why) in [("old", "MODEL_NOT_AVAILABLE"), ("haiku", "FIELD_INVALID")] {
            assert_eq!(
                refused(whose.try_verify(&byokd, model).await),
                why,
                "{model}"
            );
        }
        assert!(byokd.provider.requests().is_empty());
        // The stored list does not show it, and byokd asks the provider all the same; its refusal says
        // nothing about the key.
        byokd
            .provider
            .on_generate_for("not-listed", Reply::openai_model_not_found());
        let (key, verdict) = whose.try_verify(&byokd, "not-listed").await.unwrap();
        assert_eq!(
            (verdict, key.badge()),
            (Verdict::ModelUnavailable, Badge::Connected)
        );
    }
}

#[tokio::test]
async fn a_verify_without_a_visible_effect_is_no_change() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        let before = whose.revision(&byokd).await;
        let first = whose
            .try_verify(&byokd, "")
            .await
            .unwrap()
            .0
            .checked_at
            .unwrap();
        minutes(&byokd, 1);
        let second = whose
            .try_verify(&byokd, "")
            .await
            .unwrap()
            .0
            .checked_at
            .unwrap();
        assert_eq!(second.seconds - first.seconds, 60, "but it is remembered");
        assert_eq!(whose.revision(&byokd).await, before);
        byokd.provider.models_ok(&["small-2030"]);
        assert_eq!(whose.badge(&byokd).await, Badge::Connected);
        assert_eq!(
            whose.revision(&byokd).await,
            before + 1,
            "another list is a change"
        );
    }
}

#[tokio::test]
async fn a_verify_never_moves_a_key_to_another_host() {
    for whose in BOTH {
        let byokd = whose.standing().await;
        byokd
            .provider
            .on_list(Reply::openai_wrong_host("127.0.0.1"));
        let (key, verdict) = whose.try_verify(&byokd, "").await.unwrap();
        assert_eq!((key.badge(), verdict), (Badge::Failing, Verdict::WrongHost));
        assert_eq!(key.base_url, byokd.provider.base_url().as_str());
        assert_eq!(byokd.provider.requests().len(), 1);
        let resolved = byokd.resolve("acme", "", "openai").await.unwrap();
        assert_eq!(resolved.endpoint.unwrap().base_url, key.base_url);
    }
}

/// Some providers list for any key: a list counts only if the provider knows the key. A list that is now
/// hidden says nothing.
#[tokio::test]
async fn a_new_list_counts_if_the_key_is_known_and_the_old_one_until_then() {
    let byokd = Whose::Workspace.standing().await;
    let rows = [
        (None, Some(wrong_key()), Verdict::Invalid, true),
        (
            None,
            Some(Reply::text(500, "")),
            Verdict::ProviderDown,
            true,
        ),
        (
            None,
            Some(Reply::openai_no_funds()),
            Verdict::NoFunds,
            false,
        ),
        (
            Some(Reply::text(404, "")),
            None,
            Verdict::ValidListHidden,
            true,
        ),
        (None, None, Verdict::Valid, false),
    ];
    for (list, generation, taught, large) in rows {
        byokd.provider.models_ok(&["small-2030"]);
        list.map(|reply| byokd.provider.on_list(reply));
        generation.map(|reply| byokd.provider.on_generate(reply));
        assert_eq!(
            Whose::Workspace.try_verify(&byokd, "").await.unwrap().1,
            taught
        );
        assert_eq!(
            byokd.resolve("acme", "large", "").await.is_ok(),
            large,
            "{taught:?}"
        );
    }
}

/// The old key's check hangs until its deadline; meanwhile a new key replaces it.
#[tokio::test]
async fn a_replaced_key_is_not_judged_by_the_old_keys_check() {
    let byokd = Whose::Workspace.standing().await;
    let gate = Arc::new(Semaphore::new(0));
    byokd
        .provider
        .on_generate_once(Reply::openai_no_funds().behind(&gate));
    let replace = async {
        until("the old key is tested", async || {
            (!byokd.provider.models_tried().is_empty()).then_some(())
        })
        .await;
        let request = new_key("acme", "openai", &openai_key(2));
        byokd.admin().set_key(request).await.unwrap();
        gate.add_permits(1);
    };
    let (verified, ()) = tokio::join!(Whose::Workspace.try_verify(&byokd, ""), replace);
    assert_eq!(refused(verified), "KEY_NOT_FOUND");
    let workspace = byokd.workspace("acme").await;
    let key = workspace.providers[0].key.as_ref().unwrap();
    assert_eq!(
        (workspace.revision, key.generation, key.badge()),
        (3, 2, Badge::Connected)
    );
}
