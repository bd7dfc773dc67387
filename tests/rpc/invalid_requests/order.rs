//! The error of a request with several faults, and of one that comes too late.

use byokd::{contract::v1, domain::caller::Role};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{is, standing, untouched};
use crate::support::{ask, new_key, openai_key};

#[tokio::test]
async fn a_stale_revision_is_refused_with_the_current_one() {
    let byokd = standing().await;
    for stale in [0, 1, 3] {
        let expected_revision = Some(stale);
        let (workspace_id, provider) = ("acme".to_owned(), "openai".to_owned());
        let mut admin = byokd.admin();
        let set = v1::SetKeyRequest {
            expected_revision,
            ..new_key("acme", "openai", &openai_key(2))
        };
        let toggle = v1::ToggleByoRequest {
            workspace_id: workspace_id.clone(),
            enabled: Some(false),
            expected_revision,
            ..Default::default()
        };
        let select = v1::SelectModelRequest {
            workspace_id: workspace_id.clone(),
            model: "large".into(),
            expected_revision,
            ..Default::default()
        };
        let delete = v1::DeleteKeyRequest {
            workspace_id: workspace_id.clone(),
            provider,
            expected_revision,
            ..Default::default()
        };
        let bury = v1::DeleteWorkspaceRequest {
            workspace_id,
            expected_revision,
            ..Default::default()
        };
        let refusals = [
            admin.set_key(set).await.unwrap_err(),
            admin.toggle_byo(toggle).await.unwrap_err(),
            admin.select_model(select).await.unwrap_err(),
            admin.delete_key(delete).await.unwrap_err(),
            admin.delete_workspace(bury).await.unwrap_err(),
        ];
        for status in refusals {
            is(
                &status,
                Code::Aborted,
                "REVISION_MISMATCH",
                "",
                &stale.to_string(),
            );
            assert_eq!(
                status.get_details_error_info().unwrap().metadata["revision"],
                "2"
            );
        }
        untouched(&byokd, "stale").await;
    }
    let (provider, expected_revision) = ("openai".to_owned(), Some(0));
    let set = v1::SetPlatformKeyRequest {
        provider: provider.clone(),
        api_key: openai_key(2),
        expected_revision,
        ..Default::default()
    };
    let delete = v1::DeletePlatformKeyRequest {
        provider,
        expected_revision,
        ..Default::default()
    };
    for status in [
        byokd.operator().set_platform_key(set).await.unwrap_err(),
        byokd
            .operator()
            .delete_platform_key(delete)
            .await
            .unwrap_err(),
    ] {
        is(&status, Code::Aborted, "REVISION_MISMATCH", "", "platform");
        assert_eq!(
            status.get_details_error_info().unwrap().metadata["revision"],
            "1"
        );
    }
    untouched(&byokd, "platform").await;
}

/// Identity, role, form of the workspace, scope, other fields, purpose known, purpose granted, state.
#[tokio::test]
async fn the_first_failed_check_is_reported() {
    let byokd = standing().await;
    let wrong = |workspace: &str| v1::SetKeyRequest {
        expected_revision: Some(7),
        on_behalf_of: "x".repeat(257),
        ..new_key(workspace, "no such", "")
    };
    let viewer = byokd.token(&[Role::Viewer], "globex", &["reply"]);
    let admin = byokd.token(&[Role::Admin], "globex", &["reply"]);
    let rows = [
        (
            viewer.as_str(),
            wrong("a/b"),
            Code::PermissionDenied,
            "ROLE_REQUIRED",
            "",
        ),
        (
            viewer.as_str(),
            wrong("acme"),
            Code::PermissionDenied,
            "ROLE_REQUIRED",
            "",
        ),
        (
            admin.as_str(),
            wrong("a/b"),
            Code::InvalidArgument,
            "FIELD_INVALID",
            "workspace_id",
        ),
        (
            admin.as_str(),
            wrong("acme"),
            Code::PermissionDenied,
            "WORKSPACE_MISMATCH",
            "",
        ),
        (
            admin.as_str(),
            wrong("globex"),
            Code::InvalidArgument,
            "FIELD_INVALID",
            "on_behalf_of",
        ),
    ];
    for (token, request, code, why, field) in rows {
        let status = byokd.keys_with(token).set_key(request).await.unwrap_err();
        is(&status, code, why, field, why);
    }
    let resolver = byokd.token(&[Role::Resolver], "*", &["reply"]);
    let rows = [
        (
            ask("acme", "", "NO", "none"),
            Code::InvalidArgument,
            "FIELD_INVALID",
            "provider",
        ),
        (
            ask("acme", "", "nosuch", "none"),
            Code::InvalidArgument,
            "PURPOSE_UNKNOWN",
            "purpose",
        ),
        (
            ask("acme", "", "nosuch", "training"),
            Code::PermissionDenied,
            "PURPOSE_NOT_GRANTED",
            "",
        ),
        (
            ask("acme", "", "nosuch", ""),
            Code::InvalidArgument,
            "PROVIDER_UNKNOWN",
            "provider",
        ),
    ];
    for (request, code, why, field) in rows {
        let resolved = byokd
            .keys_with(&resolver)
            .resolve_credentials(request)
            .await;
        is(&resolved.unwrap_err(), code, why, field, why);
    }
    // A wrong form is reported before a stale revision.
    let request = v1::SetPlatformKeyRequest {
        provider: "openai".into(),
        api_key: openai_key(2),
        base_url: "https://evil.example".into(),
        expected_revision: Some(7),
        ..Default::default()
    };
    let status = byokd
        .operator()
        .set_platform_key(request)
        .await
        .unwrap_err();
    is(
        &status,
        Code::InvalidArgument,
        "BASE_URL_NOT_ALLOWED",
        "base_url",
        "platform",
    );
    untouched(&byokd, "order").await;
}
