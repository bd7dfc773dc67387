//! Everything around byokd fails during a call with a key: the provider, which also repeats the key, the
//! database, the KMS, the stored row, and the caller.

use std::time::Duration;

use byokd::{contract::v1, domain::caller::Role};
use sea_orm::ConnectionTrait as _;
use tonic::Request;

use super::{captured::Captured, stage::Stage};
use crate::support::{Reply, ask, fake_kms::Failure, new_key, sql::flipped, until};

/// Possible answers of a provider, with the key wherever there is room.
fn replies(key: &str) -> Vec<Reply> {
    let echo = format!("Incorrect API key provided: {key}.");
    let header: String = key.chars().filter(char::is_ascii_graphic).collect();
    vec![
        Reply::openai_error(401, Some("invalid_api_key"), &echo),
        Reply::openai_error(401, Some(key), &echo),
        Reply::openai_error(403, Some("mismatched_project"), &echo),
        Reply::openai_error(404, Some("model_not_found"), &echo),
        Reply::openai_error(429, Some("insufficient_quota"), &echo),
        Reply::openai_error(400, None, &echo),
        Reply::openai_error(500, Some(key), &echo),
        Reply::openai_wrong_host(&format!("{key}.api.example")),
        Reply::anthropic_error(401, key, &echo),
        Reply::text(418, echo.clone()),
        Reply::text(200, echo.clone()),
        Reply::text(200, format!("{{\"data\":[{{\"id\":\"{key}\"}}")),
        Reply::models(&[key, &format!("ft:{key}"), "small-2030"]),
        Reply::html(200)
            .header("x-echo", &header)
            .header("set-cookie", &header),
        Reply::text(503, echo.clone()).header("retry-after", &header),
        Reply::redirect(&format!(
            "http://127.0.0.1:1/{}",
            header.replace(['#', '\\', '^', '|', '<', '>'], "")
        )),
        Reply::cut(200),
    ]
}

/// Every call that reaches a provider, for each of the provider's answers to this key.
pub(super) async fn provider(stage: &Stage, captured: &mut Captured, key: &str) {
    let (mut admin, mut operator) = (stage.keys(Role::Admin).await, stage.operator().await);
    let fake = &stage.site.provider;
    fake.models_ok(&["small-2030"]);
    let set = || v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("captured", "openai", key)
    };
    let set_platform = || v1::SetPlatformKeyRequest {
        provider: "openai".to_owned(),
        api_key: key.to_owned(),
        ..Default::default()
    };
    captured
        .answer("SetKey, once more", admin.set_key(set()).await)
        .unwrap();
    captured
        .answer(
            "SetPlatformKey, once more",
            operator.set_platform_key(set_platform()).await,
        )
        .unwrap();
    for (n, reply) in replies(key).into_iter().enumerate() {
        for generate in [false, true] {
            fake.models_ok(&["small-2030"]).on_generate(reply.clone());
            if !generate {
                fake.on_list(reply.clone());
            }
            let way = format!(
                "reply {n}{}",
                if generate { " to a generation" } else { "" }
            );
            for allow_unverified in [false, true] {
                let request = v1::SetKeyRequest {
                    allow_unverified,
                    ..set()
                };
                captured.answer(&format!("SetKey, {way}"), admin.set_key(request).await);
                let request = v1::SetPlatformKeyRequest {
                    allow_unverified,
                    ..set_platform()
                };
                captured.answer(
                    &format!("SetPlatformKey, {way}"),
                    operator.set_platform_key(request).await,
                );
            }
            let request = v1::VerifyKeyRequest {
                workspace_id: "captured".to_owned(),
                provider: "openai".to_owned(),
                model: String::new(),
            };
            captured.answer(
                &format!("VerifyKey, {way}"),
                admin.verify_key(request).await,
            );
            let request = v1::ListModelsRequest {
                workspace_id: "captured".to_owned(),
                refresh: true,
                include_unavailable: true,
                ..Default::default()
            };
            captured.answer(
                &format!("ListModels, {way}"),
                admin.list_models(request).await,
            );
            let request = v1::VerifyPlatformKeyRequest {
                provider: "openai".to_owned(),
                ..Default::default()
            };
            captured.answer(
                &format!("VerifyPlatformKey, {way}"),
                operator.verify_platform_key(request).await,
            );
        }
    }
    fake.on_list(Reply::hang());
    captured.answer("SetKey, no answer", admin.set_key(set()).await);
    // The key may be refused by now or not; no answer repeats it.
    fake.on_list(Reply::openai_wrong_key(key));
    for _ in 0..3 {
        let request = v1::VerifyKeyRequest {
            workspace_id: "captured".to_owned(),
            provider: "openai".to_owned(),
            ..Default::default()
        };
        captured.answer(
            "VerifyKey, until condemned",
            admin.verify_key(request).await,
        );
    }
    let mut resolver = stage.keys(Role::Resolver).await;
    let outcome = resolver
        .resolve_credentials(ask("captured", "", "openai", ""))
        .await;
    assert!(
        captured
            .answer("ResolveCredentials, condemned", outcome)
            .is_none()
    );
    for dead in ["dead", "clear"] {
        captured.answer(
            "SetKey, provider unreachable",
            admin.set_key(new_key("captured", dead, key)).await,
        );
    }
    let request = v1::DeletePlatformKeyRequest {
        provider: "openai".to_owned(),
        ..Default::default()
    };
    captured
        .answer(
            "DeletePlatformKey",
            operator.delete_platform_key(request).await,
        )
        .unwrap();
    fake.models_ok(&["small-2030"]);
}

/// Tables that are gone, rows that were changed.
pub(super) async fn database(stage: &Stage, captured: &mut Captured, key: &str) {
    let (mut admin, mut resolver) = (
        stage.keys(Role::Admin).await,
        stage.keys(Role::Resolver).await,
    );
    let database = stage.site.database().await;
    let set = |workspace: &str| v1::SetKeyRequest {
        enable_byo: true,
        ..new_key(workspace, "openai", key)
    };
    admin.set_key(set("tampered")).await.unwrap();
    let sql = format!(
        "UPDATE provider_keys SET sealed = {} WHERE workspace_id = 'tampered' AND state = 'active'",
        flipped("sealed", 90)
    );
    database.execute_unprepared(&sql).await.unwrap();
    let outcome = resolver
        .resolve_credentials(ask("tampered", "", "openai", ""))
        .await;
    assert!(
        captured
            .answer("ResolveCredentials, of a tampered row", outcome)
            .is_none()
    );
    for table in ["provider_keys", "holders", "change_log"] {
        database
            .execute_unprepared(&format!("ALTER TABLE {table} RENAME TO away"))
            .await
            .unwrap();
        captured.answer(
            &format!("SetKey, without {table}"),
            admin.set_key(set("broken")).await,
        );
        let outcome = resolver
            .resolve_credentials(ask(table, "", "openai", ""))
            .await;
        captured.answer(&format!("ResolveCredentials, without {table}"), outcome);
        let request = v1::GetWorkspaceRequest {
            workspace_id: "broken".to_owned(),
        };
        captured.answer(
            &format!("GetWorkspace, without {table}"),
            admin.get_workspace(request).await,
        );
        database
            .execute_unprepared(&format!("ALTER TABLE away RENAME TO {table}"))
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    until("it has recovered", async || {
        admin.set_key(set("broken")).await.ok()
    })
    .await;
}

/// A KMS that is unreachable while byokd starts, and recovers.
pub(super) async fn kms(stage: &Stage, captured: &mut Captured, key: &str) {
    let (mut admin, mut resolver) = (
        stage.keys(Role::Admin).await,
        stage.keys(Role::Resolver).await,
    );
    stage.site.provider.models_ok(&["small-2030"]);
    let set = || v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("cold", "openai", key)
    };
    for failure in [
        Failure::Dead,
        Failure::Answer(500, "KMSInternalException"),
        Failure::Answer(400, "AccessDeniedException"),
    ] {
        stage.kms.fail(Some(failure));
        captured.answer("SetKey, without a KMS", admin.set_key(set()).await);
        let outcome = resolver
            .resolve_credentials(ask("cold", "", "openai", ""))
            .await;
        captured.answer("ResolveCredentials, without a KMS", outcome);
    }
    stage.kms.fail(None);
    let answer = until("the KMS is found again", async || {
        admin.set_key(set()).await.ok()
    })
    .await;
    captured.answer("SetKey, with a KMS", Ok(answer));
}

/// The caller is gone before the answer.
pub(super) async fn caller(stage: &Stage, captured: &mut Captured, key: &str) {
    let mut admin = stage.keys(Role::Admin).await;
    stage.site.provider.on_list(Reply::hang());
    for patience in [1, 20, 200] {
        let mut request = Request::new(new_key("gone", "openai", key));
        request.set_timeout(Duration::from_millis(patience));
        captured.answer("SetKey, and gone", admin.set_key(request).await);
        let request = new_key("gone", "openai", key);
        let _ = tokio::time::timeout(Duration::from_millis(patience), admin.set_key(request)).await;
    }
    stage.site.provider.models_ok(&["small-2030"]);
}
