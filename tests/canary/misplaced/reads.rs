//! A key in each field of the requests that read.

use byokd::{contract::v1, domain::caller::Role};

use super::super::{captured::Captured, stage::Stage};
use crate::support::ask;

pub(super) async fn of_a_question(stage: &Stage, captured: &mut Captured, key: &str) {
    let (mut admin, mut resolver) = (
        stage.keys(Role::Admin).await,
        stage.keys(Role::Resolver).await,
    );
    for (id, model, provider, purpose) in [
        (key, "", "", ""),
        ("misplaced", key, "", ""),
        ("misplaced", key, "openai", ""),
        ("misplaced", "", key, ""),
        ("misplaced", "", "", key),
    ] {
        let outcome = resolver
            .resolve_credentials(ask(id, model, provider, purpose))
            .await;
        captured.answer(
            "Resolve, misplaced",
            outcome.map(|answer| answer.map(without_credential)),
        );
        let request = v1::ExplainResolutionRequest {
            workspace_id: id.to_owned(),
            model: model.to_owned(),
            provider: provider.to_owned(),
            purpose: purpose.to_owned(),
        };
        captured.answer(
            "Explain, misplaced",
            admin.explain_resolution(request).await,
        );
    }
    let (id, key) = (|| "misplaced".to_owned(), || key.to_owned());
    for request in [
        v1::ListModelsRequest {
            workspace_id: key(),
            ..Default::default()
        },
        v1::ListModelsRequest {
            workspace_id: id(),
            provider: key(),
            ..Default::default()
        },
        v1::ListModelsRequest {
            workspace_id: id(),
            page_token: key(),
            ..Default::default()
        },
    ] {
        captured.answer("ListModels, misplaced", admin.list_models(request).await);
    }
    let request = v1::GetWorkspaceRequest {
        workspace_id: key(),
    };
    captured.answer(
        "GetWorkspace, misplaced",
        admin.get_workspace(request).await,
    );
    for (id, page_token) in [(key(), String::new()), (id(), key())] {
        let request = v1::ListAuditEventsRequest {
            workspace_id: id.clone(),
            page_token: page_token.clone(),
            ..Default::default()
        };
        captured.answer(
            "ListAuditEvents, misplaced",
            admin.list_audit_events(request).await,
        );
        let request = v1::ListKeyUsageRequest {
            workspace_id: id,
            page_token,
            ..Default::default()
        };
        captured.answer(
            "ListKeyUsage, misplaced",
            admin.list_key_usage(request).await,
        );
    }
    for request in [
        v1::ReportOutcomeRequest {
            workspace_id: key(),
            ..Default::default()
        },
        v1::ReportOutcomeRequest {
            workspace_id: id(),
            key_id: key(),
            ..Default::default()
        },
        v1::ReportOutcomeRequest {
            workspace_id: id(),
            provider_error_code: key(),
            ..Default::default()
        },
    ] {
        captured.answer(
            "ReportOutcome, misplaced",
            resolver.report_outcome(request).await,
        );
    }
    let request = v1::WatchInvalidationsRequest {
        workspace_ids: vec![key()],
        ..Default::default()
    };
    if let Err(status) = resolver.watch_invalidations(request).await {
        captured.answer::<()>("WatchInvalidations, misplaced", Err(status));
    }
}

/// The one place where a key may be.
fn without_credential(
    mut answer: v1::ResolveCredentialsResponse,
) -> v1::ResolveCredentialsResponse {
    answer.credential = None;
    answer
}
