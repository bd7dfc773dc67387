//! Access: every role × RPC × workspace, and every purpose, with the expected answer of each cell.

use byokd::{
    contract::v1,
    domain::caller::{Role, Rpc},
};
use tonic::{Code, Response, Status};

use crate::support::{Byokd, ask, byokd::Keys, byokd::Platform, new_key, openai_key, reason};

/// The expected answer of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Admitted,
    RoleRequired,
    WorkspaceMismatch,
}

/// The contract's table of roles, written here a second time on purpose.
pub(crate) fn may_call(rpc: &str) -> &'static [Role] {
    use Role::{Admin, Operator, Resolver, Viewer};
    match rpc {
        "ResolveCredentials" | "ReportOutcome" | "WatchInvalidations" => &[Resolver],
        "ExplainResolution" => &[Resolver, Viewer, Admin, Operator],
        "GetWorkspace" | "ListModels" | "ListKeyUsage" => &[Viewer, Admin],
        "SetKey" | "DeleteKey" | "VerifyKey" | "SelectModel" | "ToggleByo" | "DeleteWorkspace"
        | "ListAuditEvents" => &[Admin],
        "SetPlatformKey"
        | "VerifyPlatformKey"
        | "DeletePlatformKey"
        | "ListPlatformKeys"
        | "ListPlatformAuditEvents" => &[Operator],
        other => panic!("{other} is not in the table"),
    }
}

/// RPCs without a workspace: the platform's, and a watch of all.
pub(crate) fn names_a_workspace(rpc: &str) -> bool {
    !rpc.contains("Platform") && rpc != "WatchInvalidations"
}

fn bare<T>(answer: Result<Response<T>, Status>) -> Result<(), Status> {
    answer.map(|_| ())
}

/// Calls an RPC about `acme` with a request that is good in every other respect.
pub(crate) async fn call(rpc: Rpc, mut keys: Keys, mut platform: Platform) -> Result<(), Status> {
    let workspace_id = "acme".to_owned();
    let provider = "openai".to_owned();
    match rpc {
        Rpc::ResolveCredentials => {
            bare(keys.resolve_credentials(ask("acme", "llama", "", "")).await)
        }
        Rpc::ExplainResolution => {
            let request = v1::ExplainResolutionRequest {
                workspace_id,
                ..Default::default()
            };
            bare(keys.explain_resolution(request).await)
        }
        Rpc::ReportOutcome => bare(
            keys.report_outcome(v1::ReportOutcomeRequest {
                workspace_id,
                ..Default::default()
            })
            .await,
        ),
        Rpc::WatchInvalidations => {
            let request = v1::WatchInvalidationsRequest {
                all: true,
                ..Default::default()
            };
            bare(keys.watch_invalidations(request).await)
        }
        Rpc::SetKey => bare(
            keys.set_key(new_key("acme", "openai", &openai_key(1)))
                .await,
        ),
        Rpc::VerifyKey => bare(
            keys.verify_key(v1::VerifyKeyRequest {
                workspace_id,
                provider,
                ..Default::default()
            })
            .await,
        ),
        Rpc::SelectModel => {
            let request = v1::SelectModelRequest {
                workspace_id,
                model: "small".into(),
                ..Default::default()
            };
            bare(keys.select_model(request).await)
        }
        Rpc::DeleteKey => bare(
            keys.delete_key(v1::DeleteKeyRequest {
                workspace_id,
                provider,
                ..Default::default()
            })
            .await,
        ),
        Rpc::ToggleByo => {
            let request = v1::ToggleByoRequest {
                workspace_id,
                enabled: Some(false),
                ..Default::default()
            };
            bare(keys.toggle_byo(request).await)
        }
        Rpc::ListModels => bare(
            keys.list_models(v1::ListModelsRequest {
                workspace_id,
                ..Default::default()
            })
            .await,
        ),
        Rpc::GetWorkspace => bare(
            keys.get_workspace(v1::GetWorkspaceRequest { workspace_id })
                .await,
        ),
        Rpc::DeleteWorkspace => bare(
            keys.delete_workspace(v1::DeleteWorkspaceRequest {
                workspace_id,
                ..Default::default()
            })
            .await,
        ),
        Rpc::ListAuditEvents => bare(
            keys.list_audit_events(v1::ListAuditEventsRequest {
                workspace_id,
                ..Default::default()
            })
            .await,
        ),
        Rpc::ListKeyUsage => bare(
            keys.list_key_usage(v1::ListKeyUsageRequest {
                workspace_id,
                ..Default::default()
            })
            .await,
        ),
        Rpc::SetPlatformKey => {
            let api_key = openai_key(2);
            let request = v1::SetPlatformKeyRequest {
                provider,
                api_key,
                ..Default::default()
            };
            bare(platform.set_platform_key(request).await)
        }
        Rpc::VerifyPlatformKey => {
            let request = v1::VerifyPlatformKeyRequest {
                provider,
                ..Default::default()
            };
            bare(platform.verify_platform_key(request).await)
        }
        Rpc::DeletePlatformKey => {
            let request = v1::DeletePlatformKeyRequest {
                provider,
                ..Default::default()
            };
            bare(platform.delete_platform_key(request).await)
        }
        Rpc::ListPlatformKeys => bare(
            platform
                .list_platform_keys(v1::ListPlatformKeysRequest {})
                .await,
        ),
        Rpc::ListPlatformAuditEvents => bare(
            platform
                .list_platform_audit_events(v1::ListPlatformAuditEventsRequest::default())
                .await,
        ),
    }
}

fn seen(result: &Result<(), Status>) -> Cell {
    match result {
        Ok(()) => Cell::Admitted,
        Err(status) => match (status.code(), reason(status).as_str()) {
            (Code::PermissionDenied, "ROLE_REQUIRED") => Cell::RoleRequired,
            (Code::PermissionDenied, "WORKSPACE_MISMATCH") => Cell::WorkspaceMismatch,
            (Code::PermissionDenied | Code::Unauthenticated, other) => panic!("unexpected {other}"),
            _ => Cell::Admitted,
        },
    }
}

#[tokio::test]
async fn every_role_rpc_and_workspace_is_as_expected() {
    let byokd = Byokd::start().await;
    let mut cells = 0;
    for rpc in Rpc::ALL.iter().copied() {
        for role in Role::ALL {
            for scope in ["acme", "globex", "*"] {
                let token = byokd.token(&[role], scope, &[]);
                let result = call(rpc, byokd.keys_with(&token), byokd.platform_with(&token)).await;
                let expected = match (may_call(rpc.as_str()).contains(&role), scope) {
                    (false, _) => Cell::RoleRequired,
                    (true, "globex") if names_a_workspace(rpc.as_str()) => Cell::WorkspaceMismatch,
                    (true, _) => Cell::Admitted,
                };
                assert_eq!(
                    seen(&result),
                    expected,
                    "{rpc:?} as {role:?} of {scope}: {result:?}"
                );
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 19 * 4 * 3);
}

#[tokio::test]
async fn a_token_is_valid_for_exactly_its_workspace() {
    let byokd = Byokd::start().await;
    let mut keys = byokd.keys(Role::Resolver, "acme");
    keys.resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    for other in ["acme-2", "acme2", "2-acme", "acm", "ACME", "Acme"] {
        let status = keys
            .resolve_credentials(ask(other, "llama", "", ""))
            .await
            .unwrap_err();
        assert_eq!(seen(&Err(status)), Cell::WorkspaceMismatch, "{other}");
    }
}

#[tokio::test]
async fn rpcs_that_are_not_served_yet_are_unimplemented_for_permitted_callers() {
    let byokd = Byokd::start().await;
    for (rpc, role) in [
        (Rpc::ReportOutcome, Role::Resolver),
        (Rpc::WatchInvalidations, Role::Resolver),
    ] {
        let token = byokd.token(&[role], "*", &[]);
        let status = call(rpc, byokd.keys_with(&token), byokd.platform_with(&token))
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unimplemented, "NOT_IMPLEMENTED_YET")
        );
    }
}

#[tokio::test]
async fn a_caller_without_a_good_token_is_unauthenticated() {
    let byokd = Byokd::start().await;
    let other = Byokd::start().await;
    let channel = byokd.channel();
    let request = || ask("acme", "llama", "", "");
    let mut anonymous = v1::key_service_client::KeyServiceClient::new(channel);
    let status = anonymous.resolve_credentials(request()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "CREDENTIALS_MISSING")
    );
    let foreign = other.token(&[Role::Resolver], "*", &[]);
    for token in ["", "x", "a.b.c", foreign.as_str()] {
        let status = byokd
            .keys_with(token)
            .resolve_credentials(request())
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "CREDENTIALS_INVALID")
        );
        assert!(
            !status.message().contains("signature"),
            "the message helps an attacker"
        );
    }
}

#[tokio::test]
async fn a_purpose_must_be_known_and_granted() {
    let byokd = Byokd::start().await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    for (granted, asked, expected) in [
        (&[][..], "", Ok(())),
        (&[][..], "reply", Ok(())),
        (&[][..], "training", Err("PURPOSE_NOT_GRANTED")),
        (&["training"][..], "training", Ok(())),
        // Purposes that are named replace the default.
        (&["training"][..], "", Err("PURPOSE_NOT_GRANTED")),
        (
            &["reply", "embedding"][..],
            "training",
            Err("PURPOSE_NOT_GRANTED"),
        ),
        (&["gossip"][..], "gossip", Err("PURPOSE_UNKNOWN")),
        (&[][..], "gossip", Err("PURPOSE_UNKNOWN")),
    ] {
        let mut caller =
            byokd.keys_with(&byokd.token(&[Role::Resolver, Role::Viewer], "acme", granted));
        let resolved = caller
            .resolve_credentials(ask("acme", "small", "", asked))
            .await;
        let outcome = resolved.map(|_| ()).map_err(|status| reason(&status));
        assert_eq!(
            outcome,
            expected.map_err(str::to_owned),
            "granted {granted:?}, asked {asked:?}"
        );
        let explain = v1::ExplainResolutionRequest {
            workspace_id: "acme".into(),
            purpose: asked.into(),
            ..Default::default()
        };
        let outcome = caller
            .explain_resolution(explain)
            .await
            .map(|_| ())
            .map_err(|status| reason(&status));
        assert_eq!(
            outcome,
            expected.map_err(str::to_owned),
            "explain: granted {granted:?}, asked {asked:?}"
        );
    }
}
