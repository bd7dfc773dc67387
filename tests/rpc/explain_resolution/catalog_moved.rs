//! A catalog that changed under stored keys: a provider, a host or a header is no longer in it.

use std::collections::HashMap;

use byokd::contract::v1;
use tonic::{Code, Status};

use super::agree;
use crate::support::{Byokd, anthropic_key, ask, new_key, openai_key, reason, refused};

/// Restarts with a catalog without these tables.
async fn without(byokd: Byokd, tables: &[&str]) -> Byokd {
    let file = byokd.config.catalog.file.clone();
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = text
        .split_inclusive('\n')
        .collect::<Vec<_>>()
        .chunk_by(|_, next| !next.starts_with('['))
        .filter(|table| {
            !tables
                .iter()
                .any(|gone| table[0].trim() == format!("[{gone}]"))
        })
        .flatten()
        .copied()
        .collect();
    let kept = kept.concat();
    assert!(kept.len() < text.len());
    std::fs::write(file, kept).unwrap();
    byokd.restart().await
}

fn disabled(resolved: Result<v1::ResolveCredentialsResponse, Status>) {
    let status = resolved.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "PROVIDER_DISABLED")
    );
}

#[tokio::test]
async fn a_provider_that_left_the_catalog_is_disabled_and_its_keys_can_go() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("anthropic", &anthropic_key(9)).await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    byokd.toggle("acme", true).await;
    let select = |model: &str| v1::SelectModelRequest {
        workspace_id: "acme".into(),
        model: model.into(),
        provider: "anthropic".into(),
        ..Default::default()
    };
    byokd.admin().select_model(select("haiku")).await.unwrap();
    let byokd = without(byokd, &["providers.anthropic", "models.haiku"]).await;
    let entry = byokd.workspace("acme").await.providers.remove(0);
    assert_eq!(
        (entry.provider.as_str(), entry.configured),
        ("anthropic", false)
    );
    assert_eq!(entry.key.unwrap().masked, "…efgh");
    for enabled in [true, false] {
        let toggled = byokd.toggle("acme", enabled).await;
        assert_eq!(toggled.providers_without_usable_key, ["groq", "openai"]);
        disabled(byokd.resolve("acme", "", "anthropic").await);
        disabled(byokd.resolve("acme", "haiku", "anthropic").await);
        agree(&byokd, ask("acme", "", "anthropic", "")).await;
        assert_eq!(
            refused(byokd.resolve("acme", "haiku", "").await),
            "MODEL_UNKNOWN"
        );
    }
    let set = byokd
        .admin()
        .set_key(new_key("acme", "anthropic", &anthropic_key(2)))
        .await;
    assert_eq!(refused(set), "PROVIDER_UNKNOWN");
    let list = v1::ListModelsRequest {
        workspace_id: "acme".into(),
        provider: "anthropic".into(),
        include_unavailable: true,
        ..Default::default()
    };
    let listed = byokd.admin().list_models(list).await.unwrap().into_inner();
    assert!(listed.models.is_empty());

    disabled(byokd.resolve("acme", "", "anthropic").await);
    let again = byokd.admin().select_model(select("haiku")).await;
    assert_eq!(refused(again), "PROVIDER_UNKNOWN");
    let cleared = byokd.admin().select_model(select("")).await.unwrap();
    let workspace = cleared.into_inner().workspace.unwrap();
    assert_eq!(workspace.providers[0].selected_model, "");

    let delete = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "anthropic".into(),
        ..Default::default()
    };
    assert!(
        byokd
            .admin()
            .delete_key(delete)
            .await
            .unwrap()
            .into_inner()
            .deleted
    );
    assert!(byokd.workspace("acme").await.providers.is_empty());
    assert_eq!(
        refused(byokd.resolve("acme", "", "anthropic").await),
        "PROVIDER_UNKNOWN"
    );
    let mut operator = byokd.operator();
    let listed = operator
        .list_platform_keys(v1::ListPlatformKeysRequest {})
        .await;
    assert_eq!(listed.unwrap().into_inner().keys[0].provider, "anthropic");
    let delete = v1::DeletePlatformKeyRequest {
        provider: "anthropic".into(),
        ..Default::default()
    };
    let gone = operator
        .delete_platform_key(delete)
        .await
        .unwrap()
        .into_inner();
    assert!(gone.deleted);
}

#[tokio::test]
async fn a_host_or_header_that_left_the_catalog_stops_the_key() {
    for header in [false, true] {
        let byokd = Byokd::start().await;
        let named = HashMap::from([("openai-project".to_owned(), "p-1".to_owned())]);
        let headers = if header { named } else { HashMap::new() };
        let set = v1::SetKeyRequest {
            headers: headers.clone(),
            ..new_key("acme", "openai", &openai_key(1))
        };
        byokd.admin().set_key(set).await.unwrap();
        let set = v1::SetPlatformKeyRequest {
            provider: "openai".into(),
            api_key: openai_key(9),
            headers,
            ..Default::default()
        };
        byokd.operator().set_platform_key(set).await.unwrap();
        let file = byokd.config.catalog.file.clone();
        let text = std::fs::read_to_string(&file).unwrap();
        let gone = match header {
            true => r#", "OpenAI-Project""#.to_owned(),
            false => format!(r#""{}", "#, byokd.provider.base_url()),
        };
        assert!(text.contains(&gone));
        std::fs::write(&file, text.replace(&gone, "")).unwrap();
        let byokd = byokd.restart().await;
        byokd.provider.forget_requests();
        for enabled in [true, false] {
            let toggled = byokd.toggle("acme", enabled).await;
            assert!(
                toggled
                    .providers_without_usable_key
                    .contains(&"openai".to_owned())
            );
            let answer = agree(&byokd, ask("acme", "", "openai", "")).await;
            assert_eq!(answer, "ENDPOINT_NO_LONGER_ALLOWED");
        }
        let verify = v1::VerifyKeyRequest {
            workspace_id: "acme".into(),
            provider: "openai".into(),
            model: String::new(),
        };
        let verified = byokd.admin().verify_key(verify).await;
        assert_eq!(refused(verified), "ENDPOINT_NO_LONGER_ALLOWED");
        let refresh = v1::ListModelsRequest {
            workspace_id: "acme".into(),
            refresh: true,
            ..Default::default()
        };
        byokd.admin().list_models(refresh).await.unwrap();
        assert!(byokd.provider.requests().is_empty());
        byokd.toggle("acme", true).await;
        byokd.set_key("acme", "openai", &openai_key(2)).await;
        assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(2));
    }
}
