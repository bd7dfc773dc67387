//! DeleteWorkspace: keys and choices are deleted, a tombstone keeps the counters, and only some calls create
//! a workspace.

use byokd::{
    contract::v1::{self, BillingMode},
    domain::resolution::UnknownWorkspace,
};

use crate::support::{Byokd, anthropic_key, ask, openai_key, refused};

async fn delete(byokd: &Byokd, workspace: &str) -> v1::Workspace {
    let request = v1::DeleteWorkspaceRequest {
        workspace_id: workspace.into(),
        ..Default::default()
    };
    let deleted = byokd.admin().delete_workspace(request).await.unwrap();
    deleted.into_inner().workspace.unwrap()
}

async fn select(byokd: &Byokd, model: &str) {
    let request = v1::SelectModelRequest {
        workspace_id: "acme".into(),
        model: model.into(),
        ..Default::default()
    };
    byokd.admin().select_model(request).await.unwrap();
}

#[tokio::test]
async fn a_deleted_workspace_is_empty_and_keeps_its_counters() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.set_key("acme", "openai", &openai_key(2)).await;
    byokd.set_key("acme", "anthropic", &anthropic_key(1)).await;
    byokd.toggle("acme", true).await;
    select(&byokd, "large").await;
    let gone = delete(&byokd, "acme").await;
    assert_eq!((gone.revision, gone.byo_enabled), (6, false));
    assert!(gone.providers.is_empty());
    assert_eq!(byokd.workspace("acme").await, gone);
    assert_eq!(
        delete(&byokd, "acme").await.revision,
        6,
        "again is no change"
    );

    let resolved = byokd.resolve("acme", "", "").await.unwrap();
    assert_eq!(
        (resolved.billing.unwrap().mode(), resolved.model.as_str()),
        (BillingMode::Credits, "small-2030"),
        "the platform's key, and no old selection"
    );
    let byokd = byokd.restart().await;
    assert_eq!(
        byokd.toggle("acme", true).await.workspace.unwrap().revision,
        7
    );
    assert_eq!(
        refused(byokd.resolve("acme", "", "openai").await),
        "BYO_KEY_MISSING"
    );
    let set = byokd.set_key("acme", "openai", &openai_key(3)).await;
    assert_eq!(
        (set.key.unwrap().generation, set.workspace.unwrap().revision),
        (3, 8)
    );
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(3));
}

#[tokio::test]
async fn deleting_an_unknown_workspace_does_not_create_it() {
    let byokd = Byokd::start().await;
    assert_eq!(delete(&byokd, "acme").await.revision, 0);
    assert_eq!(byokd.workspace("acme").await.revision, 0);
    let delete = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        expected_revision: Some(0),
        request_id: "r-1".into(),
        ..Default::default()
    };
    for _ in 0..2 {
        let gone = byokd
            .admin()
            .delete_key(delete.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(!gone.deleted);
    }
    assert_eq!(byokd.workspace("acme").await.revision, 0);
}

#[tokio::test]
async fn where_unknown_workspaces_are_refused_only_a_key_or_the_toggle_creates_one() {
    let byokd = Byokd::start_with(|config| {
        config.resolution.unknown_workspace = UnknownWorkspace::Refuse;
    })
    .await;
    byokd.set_platform_key("openai", &openai_key(9)).await;
    let unknown = async |byokd: &Byokd| {
        assert_eq!(
            refused(byokd.resolve("acme", "", "").await),
            "WORKSPACE_UNKNOWN"
        );
        let request = v1::ListModelsRequest {
            workspace_id: "acme".into(),
            provider: "openai".into(),
            include_unavailable: true,
            ..Default::default()
        };
        let listed = byokd
            .admin()
            .list_models(request)
            .await
            .unwrap()
            .into_inner();
        let reasons = listed.models.iter().map(|model| &model.unavailable_reason);
        assert!(
            reasons
                .into_iter()
                .all(|reason| reason == "WORKSPACE_UNKNOWN")
        );
        // A purpose that ignores the toggle is not about the workspace.
        assert!(byokd.resolve("acme", "llama", "").await.is_ok());
        for purpose in ["training", "embedding"] {
            let request = ask("acme", "small", "", purpose);
            assert!(byokd.resolver().resolve_credentials(request).await.is_ok());
        }
    };
    unknown(&byokd).await;
    select(&byokd, "large").await;
    unknown(&byokd).await;
    let toggled = byokd.toggle("acme", false).await.workspace.unwrap();
    assert!(!toggled.byo_enabled && toggled.revision > 0);
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(9));
    let byokd = byokd.restart().await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(9));

    delete(&byokd, "acme").await;
    unknown(&byokd).await;
    let byokd = byokd.restart().await;
    unknown(&byokd).await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), openai_key(9));
}
