//! Every RPC with good requests, from the first key to the last.

use byokd::{contract::v1, domain::caller::Role};

use super::{captured::Captured, stage::Stage};
use crate::support::{ask, new_key};

/// Calls each RPC with this key in its place.
pub(super) async fn walk(stage: &Stage, captured: &mut Captured, workspace: &str, key: &str) {
    let workspace_id = workspace.to_owned();
    let provider = "openai".to_owned();
    let mut admin = stage.keys(Role::Admin).await;
    stage.site.provider.models_ok(&["small-2030", "haiku-1"]);
    let new = || new_key(workspace, "openai", key);
    let request = v1::SetKeyRequest {
        validate_only: true,
        ..new()
    };
    captured
        .answer("SetKey, to validate only", admin.set_key(request).await)
        .unwrap();
    let request = v1::SetKeyRequest {
        request_id: "first".to_owned(),
        enable_byo: true,
        ..new()
    };
    captured
        .answer("SetKey", admin.set_key(request.clone()).await)
        .unwrap();
    captured
        .answer("SetKey, once more", admin.set_key(request.clone()).await)
        .unwrap();
    let other = v1::SetKeyRequest {
        model: "large".to_owned(),
        ..request
    };
    assert!(
        captured
            .answer("SetKey, the request id reused", admin.set_key(other).await)
            .is_none()
    );
    let request = v1::SetKeyRequest {
        expected_revision: Some(77),
        ..new()
    };
    assert!(
        captured
            .answer("SetKey, another revision", admin.set_key(request).await)
            .is_none()
    );
    let request = v1::VerifyKeyRequest {
        workspace_id,
        provider,
        model: "small-2030".to_owned(),
    };
    captured
        .answer("VerifyKey", admin.verify_key(request.clone()).await)
        .unwrap();
    let v1::VerifyKeyRequest {
        workspace_id,
        provider,
        ..
    } = request;
    let request = v1::SelectModelRequest {
        workspace_id: workspace_id.clone(),
        model: "small".to_owned(),
        ..Default::default()
    };
    captured
        .answer("SelectModel", admin.select_model(request).await)
        .unwrap();
    let request = v1::ListModelsRequest {
        workspace_id: workspace_id.clone(),
        include_unavailable: true,
        refresh: true,
        ..Default::default()
    };
    captured
        .answer("ListModels", admin.list_models(request).await)
        .unwrap();
    let request = v1::GetWorkspaceRequest {
        workspace_id: workspace_id.clone(),
    };
    captured
        .answer("GetWorkspace", admin.get_workspace(request).await)
        .unwrap();
    let request = v1::ExplainResolutionRequest {
        workspace_id: workspace_id.clone(),
        ..Default::default()
    };
    captured
        .answer("ExplainResolution", admin.explain_resolution(request).await)
        .unwrap();
    resolved(stage, captured, workspace, Some(key)).await;
    later(stage, captured, workspace).await;
    let request = v1::ToggleByoRequest {
        workspace_id: workspace_id.clone(),
        enabled: Some(false),
        ..Default::default()
    };
    captured
        .answer("ToggleByo", admin.toggle_byo(request).await)
        .unwrap();
    let request = v1::DeleteKeyRequest {
        workspace_id: workspace_id.clone(),
        provider,
        ..Default::default()
    };
    captured
        .answer("DeleteKey", admin.delete_key(request.clone()).await)
        .unwrap();
    captured
        .answer("DeleteKey, of none", admin.delete_key(request).await)
        .unwrap();
    resolved(stage, captured, workspace, None).await;
    captured
        .answer("SetKey, a new generation", admin.set_key(new()).await)
        .unwrap();
    platform(stage, captured, key).await;
    let request = v1::DeleteWorkspaceRequest {
        workspace_id,
        ..Default::default()
    };
    captured
        .answer("DeleteWorkspace", admin.delete_workspace(request).await)
        .unwrap();
}

/// The one answer that holds the key, in the one field that may.
async fn resolved(stage: &Stage, captured: &mut Captured, workspace: &str, key: Option<&str>) {
    let mut resolver = stage.keys(Role::Resolver).await;
    let outcome = resolver
        .resolve_credentials(ask(workspace, "", "openai", ""))
        .await;
    let outcome = outcome.map(|answer| {
        answer.map(|mut answer| {
            let credential = answer.credential.take().unwrap();
            assert_eq!(Some(credential.api_key.as_str()), key);
            captured.add(
                "ResolveCredentials: printed",
                format!("{credential:?} {answer:?}"),
            );
            answer
        })
    });
    assert_eq!(
        captured.answer("ResolveCredentials", outcome).is_some(),
        key.is_some()
    );
}

/// RPCs that this version or a later one serves.
async fn later(stage: &Stage, captured: &mut Captured, workspace: &str) {
    let workspace_id = workspace.to_owned();
    let (mut admin, mut viewer) = (
        stage.keys(Role::Admin).await,
        stage.keys(Role::Viewer).await,
    );
    let mut resolver = stage.keys(Role::Resolver).await;
    let request = v1::ListAuditEventsRequest {
        workspace_id: workspace_id.clone(),
        ..Default::default()
    };
    captured.answer("ListAuditEvents", admin.list_audit_events(request).await);
    let request = v1::ListKeyUsageRequest {
        workspace_id: workspace_id.clone(),
        ..Default::default()
    };
    captured.answer("ListKeyUsage", viewer.list_key_usage(request).await);
    let request = v1::ReportOutcomeRequest {
        workspace_id,
        http_status: 401,
        ..Default::default()
    };
    captured.answer("ReportOutcome", resolver.report_outcome(request).await);
    let request = v1::WatchInvalidationsRequest {
        all: true,
        ..Default::default()
    };
    if let Err(status) = resolver.watch_invalidations(request).await {
        captured.answer::<()>("WatchInvalidations", Err(status));
    }
}

async fn platform(stage: &Stage, captured: &mut Captured, key: &str) {
    let mut operator = stage.operator().await;
    let provider = "openai".to_owned();
    let request = v1::SetPlatformKeyRequest {
        provider: provider.clone(),
        api_key: key.to_owned(),
        ..Default::default()
    };
    captured
        .answer("SetPlatformKey", operator.set_platform_key(request).await)
        .unwrap();
    let request = v1::VerifyPlatformKeyRequest {
        provider: provider.clone(),
        ..Default::default()
    };
    captured
        .answer(
            "VerifyPlatformKey",
            operator.verify_platform_key(request).await,
        )
        .unwrap();
    captured
        .answer(
            "ListPlatformKeys",
            operator
                .list_platform_keys(v1::ListPlatformKeysRequest {})
                .await,
        )
        .unwrap();
    let request = v1::ListPlatformAuditEventsRequest::default();
    captured.answer(
        "ListPlatformAuditEvents",
        operator.list_platform_audit_events(request).await,
    );
    let request = v1::DeletePlatformKeyRequest {
        provider,
        ..Default::default()
    };
    captured
        .answer(
            "DeletePlatformKey",
            operator.delete_platform_key(request).await,
        )
        .unwrap();
}
