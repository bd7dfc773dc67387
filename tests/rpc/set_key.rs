//! SetKey stores or refuses a key by the verdict of its check: each verdict of both vendors, from the
//! provider's body to the badge.

pub(super) mod answers;

use answers::{Script, anthropic, lists, openai};
use std::collections::HashMap;

use byokd::contract::v1::{self, Badge, Verdict};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Byokd, Reply, anthropic_key, new_key, openai_key, reason};

/// Stored with this badge, or refused with this code and reason.
pub(super) fn follows(verdict: Verdict) -> Result<Badge, (Code, &'static str)> {
    match verdict {
        Verdict::Valid | Verdict::ValidListHidden => Ok(Badge::Connected),
        Verdict::NoFunds | Verdict::RateLimited | Verdict::ModelUnavailable => Ok(Badge::Limited),
        Verdict::Invalid | Verdict::InsufficientScope | Verdict::OrgProblem => {
            Err((Code::InvalidArgument, "KEY_REJECTED"))
        }
        Verdict::WrongKind => Err((Code::InvalidArgument, "KEY_WRONG_KIND")),
        _ => Err((Code::Unavailable, "PROVIDER_UNREACHABLE")),
    }
}

pub(super) fn refuses(status: &Status, verdict: Verdict, expected: (Code, &str), what: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        expected,
        "{what}: {status:?}"
    );
    let info = status.get_details_error_info().unwrap();
    let name = verdict.as_str_name().trim_start_matches("VERDICT_");
    assert_eq!(info.metadata["verdict"], name, "{what}");
    let retry = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    // A retry helps if the provider did not answer; if it answered, only if it names a time.
    let away = matches!(verdict, Verdict::ProviderDown | Verdict::Unreachable);
    assert!(retry.is_some() || !away, "{what}");
    assert!(retry.is_none() || expected.0 == Code::Unavailable, "{what}");
    assert!(retry.is_none_or(|delay| !delay.is_zero()), "{what}");
}

pub(super) fn play(byokd: &Byokd, script: &Script) {
    byokd.provider.models_ok(&["small-2030", "haiku-1"]);
    if let Some(reply) = &script.0 {
        byokd.provider.on_list(reply.clone());
    }
    if let Some(reply) = &script.1 {
        byokd.provider.on_generate(reply.clone());
    }
}

/// Replaces a good key after each of these answers, with and without `allow_unverified`.
async fn walk(provider: &str, keys: [String; 2], rows: Vec<(&'static str, Script, Verdict)>) {
    let byokd = Byokd::start().await;
    for (n, (what, script, verdict)) in rows.into_iter().enumerate() {
        for allow_unverified in [false, true] {
            let workspace = format!("w{n}-{allow_unverified}");
            play(&byokd, &(None, None));
            byokd.set_key(&workspace, provider, &keys[0]).await;
            byokd.toggle(&workspace, true).await;
            play(&byokd, &script);
            let request = v1::SetKeyRequest {
                allow_unverified,
                ..new_key(&workspace, provider, &keys[1])
            };
            let set = byokd.admin().set_key(request).await;
            let expected = match follows(verdict) {
                Err((Code::Unavailable, _)) if allow_unverified => Ok(Badge::Unverified),
                expected => expected,
            };
            let (serving, revision, generation) = match expected {
                Ok(badge) => {
                    let key = set.unwrap().into_inner().key.unwrap();
                    assert_eq!((key.badge(), key.verdict()), (badge, verdict), "{what}");
                    (&keys[1], 3, 2)
                }
                Err(expected) => {
                    refuses(&set.unwrap_err(), verdict, expected, what);
                    (&keys[0], 2, 1)
                }
            };
            assert_eq!(
                &byokd.secret(&workspace, provider).await.unwrap(),
                serving,
                "{what}"
            );
            let after = byokd.workspace(&workspace).await;
            let stored = after.providers[0].key.as_ref().unwrap();
            assert_eq!(
                (after.revision, stored.generation),
                (revision, generation),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn every_verdict_of_openai() {
    walk("openai", [openai_key(1), openai_key(2)], openai()).await;
}

#[tokio::test]
async fn every_verdict_of_anthropic() {
    let mut rows = anthropic();
    let text = "OAuth authentication is currently not supported.";
    let login = lists(Reply::anthropic_error(401, "authentication_error", text));
    rows.push(("a login token", login, Verdict::WrongKind));
    walk("anthropic", [anthropic_key(1), anthropic_key(2)], rows).await;
}

#[tokio::test]
async fn validate_only_checks_and_stores_nothing() {
    let byokd = Byokd::start().await;
    let request = |n| v1::SetKeyRequest {
        validate_only: true,
        enable_byo: true,
        request_id: format!("r-{n}"),
        ..new_key("acme", "openai", &openai_key(n))
    };
    let answer = byokd
        .admin()
        .set_key(request(1))
        .await
        .unwrap()
        .into_inner();
    let key = answer.key.unwrap();
    assert_eq!(
        (key.badge(), key.verdict()),
        (Badge::Connected, Verdict::Valid)
    );
    assert_eq!(
        (key.key_id.as_str(), key.generation, key.masked.as_str()),
        ("", 0, "…efgh")
    );
    assert!(answer.models.is_empty() && !answer.workspace.unwrap().byo_enabled);
    byokd.provider.set_valid_keys(&[]);
    let status = byokd.admin().set_key(request(2)).await.unwrap_err();
    refuses(
        &status,
        Verdict::Invalid,
        (Code::InvalidArgument, "KEY_REJECTED"),
        "wrong",
    );
    assert_eq!(byokd.workspace("acme").await.revision, 0);
    assert_eq!(
        byokd
            .resolve("acme", "", "openai")
            .await
            .unwrap_err()
            .code(),
        Code::FailedPrecondition
    );
}

/// A resolve answers the endpoint at which the key was checked.
#[tokio::test]
async fn a_resolve_answers_the_keys_own_host_and_headers() {
    let byokd = Byokd::start().await;
    let base_url = format!("http://localhost:{}/v1", byokd.provider.port());
    let request = v1::SetKeyRequest {
        base_url: base_url.clone(),
        headers: HashMap::from([("openai-project".to_owned(), "proj-1".to_owned())]),
        enable_byo: true,
        ..new_key("acme", "openai", &openai_key(1))
    };
    byokd.admin().set_key(request).await.unwrap();
    let endpoint = byokd
        .resolve("acme", "", "openai")
        .await
        .unwrap()
        .endpoint
        .unwrap();
    assert_eq!(endpoint.base_url, base_url);
    assert_eq!(
        endpoint.headers,
        HashMap::from([("OpenAI-Project".to_owned(), "proj-1".to_owned())])
    );
    let verify = v1::VerifyKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    byokd.admin().verify_key(verify).await.unwrap();
    let seen = byokd.provider.requests();
    assert_eq!(seen.len(), 4, "two probes for each of two tests");
    for seen in seen {
        assert_eq!(
            seen.headers["host"],
            format!("localhost:{}", byokd.provider.port())
        );
        assert_eq!(seen.headers["openai-project"], "proj-1");
    }
}

/// Saving can switch BYO on, in the same change.
#[tokio::test]
async fn saving_a_key_can_switch_byo_on_and_select_a_model() {
    let byokd = Byokd::start().await;
    let request = v1::SetKeyRequest {
        enable_byo: true,
        model: "large".into(),
        ..new_key("acme", "openai", &openai_key(1))
    };
    let set = byokd.admin().set_key(request).await.unwrap().into_inner();
    let workspace = set.workspace.unwrap();
    assert!(workspace.byo_enabled);
    assert_eq!(
        (
            workspace.revision,
            workspace.providers[0].selected_model.as_str()
        ),
        (1, "large")
    );
    assert_eq!(
        byokd.resolve("acme", "", "").await.unwrap().model,
        "large-2030"
    );
}

/// A refused key changes nothing, and the old one keeps serving.
#[tokio::test]
async fn a_bad_key_never_replaces_a_good_one() {
    let byokd = Byokd::start().await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd.provider.set_valid_keys(&[&openai_key(1)]);
    let status = byokd
        .admin()
        .set_key(new_key("acme", "openai", &openai_key(2)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "KEY_REJECTED")
    );
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    assert_eq!(byokd.workspace("acme").await.revision, 2);
}
