//! Key checks are limited for each workspace, caller and provider, so that stolen keys cannot be tried out; a
//! limited call changes nothing and gives a retry time.
//!
//! Limits run on the real clock. Each test makes its calls in far less time than a used-up limit needs to
//! recover.

use byokd::{
    contract::v1,
    domain::{caller::Role, names::PurposeName},
    identity::{MintRequest, Signer, mint},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    Byokd, Reply, anthropic_key, byokd::for_a_crowd, new_key, openai_key, reason, refused, until,
};

/// A token of another caller than the tests' usual one.
fn token(byokd: &Byokd, subject: &str, role: Role) -> String {
    let signer = Signer::in_folder(&byokd.config.server.data_dir).unwrap();
    let request = MintRequest {
        subject: subject.to_owned(),
        roles: vec![role],
        workspace: "*".to_owned(),
        purposes: vec![PurposeName::reply()],
    };
    mint(&signer, &request, &byokd.clock).unwrap()
}

fn limited(status: Status, by: &str) {
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "RATE_LIMITED"),
        "{status:?}"
    );
    assert_eq!(
        status.get_details_error_info().unwrap().metadata["limit"],
        by
    );
    let retry = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    // A limit per second has recovered after one second, a limit per minute has not.
    let back = if by == "provider" { 1..=1 } else { 2..=60 };
    assert!(back.contains(&retry.as_secs()), "{by}: {retry:?}");
}

fn verify(workspace: &str) -> v1::VerifyKeyRequest {
    v1::VerifyKeyRequest {
        workspace_id: workspace.into(),
        provider: "openai".into(),
        model: String::new(),
    }
}

fn refresh(workspace: &str) -> v1::ListModelsRequest {
    v1::ListModelsRequest {
        workspace_id: workspace.into(),
        refresh: true,
        ..Default::default()
    }
}

fn platform_key(provider: &str, key: &str) -> v1::SetPlatformKeyRequest {
    v1::SetPlatformKeyRequest {
        provider: provider.into(),
        api_key: key.into(),
        ..Default::default()
    }
}

fn verify_platform() -> v1::VerifyPlatformKeyRequest {
    v1::VerifyPlatformKeyRequest {
        provider: "openai".into(),
        model: String::new(),
    }
}

#[tokio::test]
async fn a_workspace_has_a_limit_of_key_checks_a_minute() {
    let byokd = Byokd::start_with(|config| config.checks.per_workspace_per_minute = 3).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.admin().verify_key(verify("acme")).await.unwrap();
    byokd.admin().list_models(refresh("acme")).await.unwrap();
    byokd.provider.models_ok(&["large-2030"]).forget_requests();
    let before = byokd.workspace("acme").await;
    let set = byokd
        .admin()
        .set_key(new_key("acme", "openai", &openai_key(2)))
        .await;
    limited(set.unwrap_err(), "workspace");
    limited(
        byokd.admin().verify_key(verify("acme")).await.unwrap_err(),
        "workspace",
    );
    limited(
        byokd
            .admin()
            .list_models(refresh("acme"))
            .await
            .unwrap_err(),
        "workspace",
    );
    let tried = v1::SetKeyRequest {
        validate_only: true,
        ..new_key("acme", "anthropic", &anthropic_key(1))
    };
    limited(byokd.admin().set_key(tried).await.unwrap_err(), "workspace");
    assert_eq!(byokd.workspace("acme").await, before);
    assert!(byokd.provider.requests().is_empty());

    // Calls without a key check are not limited, nor are other callers.
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(1));
    let plain = v1::ListModelsRequest {
        refresh: false,
        ..refresh("acme")
    };
    byokd.admin().list_models(plain).await.unwrap();
    byokd.set_key("globex", "openai", &openai_key(3)).await;
    byokd.set_platform_key("openai", &openai_key(4)).await;
}

#[tokio::test]
async fn the_platform_counts_as_one_workspace() {
    let byokd = Byokd::start_with(|config| config.checks.per_workspace_per_minute = 2).await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    let mut operator = byokd.operator();
    operator
        .verify_platform_key(verify_platform())
        .await
        .unwrap();
    byokd.provider.forget_requests();
    let verified = operator.verify_platform_key(verify_platform()).await;
    limited(verified.unwrap_err(), "workspace");
    let set = operator
        .set_platform_key(platform_key("anthropic", &anthropic_key(1)))
        .await;
    limited(set.unwrap_err(), "workspace");
    assert!(byokd.provider.requests().is_empty());
    let listed = operator
        .list_platform_keys(v1::ListPlatformKeysRequest {})
        .await;
    assert_eq!(listed.unwrap().into_inner().revision, 1);
}

#[tokio::test]
async fn a_caller_has_a_limit_over_all_workspaces() {
    let byokd = Byokd::start_with(|config| config.checks.per_principal_per_minute = 2).await;
    let mut ann = byokd.keys_with(&token(&byokd, "ann", Role::Admin));
    for workspace in ["w1", "w2"] {
        ann.set_key(new_key(workspace, "openai", &openai_key(1)))
            .await
            .unwrap();
    }
    byokd.provider.forget_requests();
    let set = ann.set_key(new_key("w3", "openai", &openai_key(1))).await;
    limited(set.unwrap_err(), "caller");
    limited(ann.verify_key(verify("w1")).await.unwrap_err(), "caller");
    limited(ann.list_models(refresh("w1")).await.unwrap_err(), "caller");
    let mut operator = byokd.platform_with(&token(&byokd, "ann", Role::Operator));
    let set = operator
        .set_platform_key(platform_key("openai", &openai_key(1)))
        .await;
    limited(set.unwrap_err(), "caller");
    assert!(byokd.provider.requests().is_empty());
    assert_eq!(byokd.workspace("w3").await.revision, 0);
    let mut bob = byokd.keys_with(&token(&byokd, "bob", Role::Admin));
    bob.set_key(new_key("w3", "openai", &openai_key(1)))
        .await
        .unwrap();
}

/// A limit per second: of many concurrent calls, some must be refused.
#[tokio::test]
async fn a_provider_has_a_limit_a_second_over_all_callers() {
    for platform in [false, true] {
        let byokd = Byokd::start_with(|config| {
            for_a_crowd(config);
            config.checks.per_provider_per_second = 1;
        })
        .await;
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (mut keys, mut operator) = (
                byokd.keys_with(&token(&byokd, &format!("s{n}"), Role::Admin)),
                byokd.operator(),
            );
            calls.spawn(async move {
                match platform {
                    true => operator
                        .set_platform_key(platform_key("openai", &openai_key(n)))
                        .await
                        .map(drop),
                    false => keys
                        .set_key(new_key(&format!("w{n}"), "openai", &openai_key(n)))
                        .await
                        .map(drop),
                }
            });
        }
        let results = calls.join_all().await;
        let granted = results.iter().filter(|result| result.is_ok()).count();
        assert!((1..20).contains(&granted), "{granted}");
        for status in results.into_iter().filter_map(Result::err) {
            limited(status, "provider");
        }
        let lists = byokd
            .provider
            .requests()
            .iter()
            .filter(|seen| seen.path == "/v1/models")
            .count();
        assert_eq!(
            lists, granted,
            "what was limited did not reach the provider"
        );
        // Another provider has a limit of its own.
        byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    }
}

#[tokio::test]
async fn calls_that_reach_no_provider_are_not_counted() {
    let byokd = Byokd::start_with(|config| {
        config.checks.per_workspace_per_minute = 1;
        config.checks.per_principal_per_minute = 1;
    })
    .await;
    let wrong = [
        (anthropic_key(1), "KEY_WRONG_KIND"),
        ("sk-admin-SYNTHETIC".to_owned(), "KEY_WRONG_KIND"),
        ("Bearer sk-SYNTHETIC".to_owned(), "KEY_MALFORMED"),
    ];
    for (key, why) in &wrong {
        let set = byokd.admin().set_key(new_key("acme", "openai", key)).await;
        assert_eq!(refused(set), *why);
    }
    let request = v1::SetKeyRequest {
        request_id: "r-1".into(),
        ..new_key("acme", "openai", &openai_key(1))
    };
    let first = byokd
        .admin()
        .set_key(request.clone())
        .await
        .unwrap()
        .into_inner();
    // A retry finds its first result although the limit is used up; a key of the wrong kind is refused all
    // the same.
    let again = byokd.admin().set_key(request).await.unwrap().into_inner();
    assert_eq!(first, again);
    for (key, why) in &wrong {
        let set = byokd.admin().set_key(new_key("acme", "openai", key)).await;
        assert_eq!(refused(set), *why);
    }
    let set = byokd
        .admin()
        .set_key(new_key("acme", "openai", &openai_key(2)))
        .await;
    limited(set.unwrap_err(), "caller");
}

#[tokio::test]
async fn concurrent_key_checks_are_limited_and_a_cancelled_one_frees_its_permit() {
    let byokd = Byokd::start().await;
    byokd.provider.on_list(Reply::hang());
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..64 {
        let mut keys = byokd.admin();
        calls.spawn(async move {
            keys.set_key(new_key(&format!("w{n}"), "openai", &openai_key(n)))
                .await
        });
        // One after the other: their reads must not overload the database.
        let hanging = async || (byokd.provider.requests().len() == calls.len()).then_some(());
        until("the test call runs", hanging).await;
    }
    let status = byokd
        .admin()
        .set_key(new_key("acme", "openai", &openai_key(64)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    assert!(status.get_details_retry_info().is_some());
    assert_eq!(byokd.provider.requests().len(), 64);
    calls.shutdown().await;
    byokd.provider.models_ok(&["small-2030"]);
    until("a place is free", async || {
        byokd
            .admin()
            .set_key(new_key("acme", "openai", &openai_key(64)))
            .await
            .ok()
    })
    .await;
}
