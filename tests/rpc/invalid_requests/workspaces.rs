//! Malformed workspace ids, and a toggle without a value.

use byokd::contract::v1;
use tonic::Code;

use super::{is, standing, untouched};
use crate::support::{new_key, openai_key};

const FIELD: Code = Code::InvalidArgument;

#[tokio::test]
async fn a_workspace_id_of_the_wrong_form_is_refused_by_every_rpc() {
    let byokd = standing().await;
    let long = "w".repeat(10_000);
    let rows = [
        "",
        "a/b",
        "a\0b",
        &long,
        "a b",
        "é",
        "*",
        "../acme",
        "acme\n",
        &"w".repeat(129),
    ];
    for id in rows {
        let workspace_id = id.to_owned();
        let provider = "openai".to_owned();
        let mut admin = byokd.admin();
        let verify = v1::VerifyKeyRequest {
            workspace_id: workspace_id.clone(),
            provider: provider.clone(),
            model: String::new(),
        };
        let delete = v1::DeleteKeyRequest {
            workspace_id: workspace_id.clone(),
            provider: provider.clone(),
            ..Default::default()
        };
        let toggle = v1::ToggleByoRequest {
            workspace_id: workspace_id.clone(),
            enabled: Some(false),
            ..Default::default()
        };
        let select = v1::SelectModelRequest {
            workspace_id: workspace_id.clone(),
            model: "large".into(),
            ..Default::default()
        };
        let list = v1::ListModelsRequest {
            workspace_id: workspace_id.clone(),
            ..Default::default()
        };
        let get = v1::GetWorkspaceRequest {
            workspace_id: workspace_id.clone(),
        };
        let bury = v1::DeleteWorkspaceRequest {
            workspace_id: workspace_id.clone(),
            ..Default::default()
        };
        let explain = v1::ExplainResolutionRequest {
            workspace_id,
            ..Default::default()
        };
        let refusals = [
            admin
                .set_key(new_key(id, "openai", &openai_key(2)))
                .await
                .unwrap_err(),
            admin.verify_key(verify).await.unwrap_err(),
            admin.delete_key(delete).await.unwrap_err(),
            admin.toggle_byo(toggle).await.unwrap_err(),
            admin.select_model(select).await.unwrap_err(),
            admin.list_models(list).await.unwrap_err(),
            admin.get_workspace(get).await.unwrap_err(),
            admin.delete_workspace(bury).await.unwrap_err(),
            admin.explain_resolution(explain).await.unwrap_err(),
            byokd.resolve(id, "", "").await.unwrap_err(),
        ];
        for status in refusals {
            assert!(status.message().len() < 200, "the id is not repeated");
            is(&status, FIELD, "FIELD_INVALID", "workspace_id", id);
        }
    }
    untouched(&byokd, "workspace ids").await;
}

#[tokio::test]
async fn a_toggle_without_enabled_changes_no_payer() {
    let byokd = standing().await;
    let request = v1::ToggleByoRequest {
        workspace_id: "acme".into(),
        enabled: None,
        ..Default::default()
    };
    let status = byokd.admin().toggle_byo(request).await.unwrap_err();
    is(&status, FIELD, "FIELD_INVALID", "enabled", "enabled");
    assert!(byokd.workspace("acme").await.byo_enabled);
    untouched(&byokd, "enabled").await;
}
