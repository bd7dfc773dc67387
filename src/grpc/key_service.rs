//! `byok.v1.KeyService`: each RPC reads its fields, runs its operation and answers.
//!
//! Invariants: a key leaves its message before anything can refuse the call.
//!
//! Not here: decisions (`ops`), admission of the caller (`services`).

use tonic::{Request, Status};
use zeroize::Zeroizing;

use super::{
    answer, parse, record,
    services::{Answer, Services, not_served_yet},
};
use crate::{
    contract::v1::{self, key_service_server::KeyService},
    domain::{caller::Rpc, error::Error, resolution::BillingMode},
    ops::{self, ListModels, SelectModel, SetKey},
    telemetry::metrics::{self, Billed},
};

fn billed(mode: BillingMode) -> Billed {
    match mode {
        BillingMode::Byo => Billed::Byo,
        BillingMode::Credits => Billed::Credits,
        BillingMode::Unmetered => Billed::Unmetered,
    }
}

#[tonic::async_trait]
impl KeyService for Services {
    async fn resolve_credentials(
        &self,
        request: Request<v1::ResolveCredentialsRequest>,
    ) -> Answer<v1::ResolveCredentialsResponse> {
        let call = self.workspace_call(Rpc::ResolveCredentials, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let ask = parse::ask(&body.model, &body.provider, &body.purpose)?;
            let resolved = ops::resolve_credentials(&self.state, &workspace, &ask).await?;
            metrics::granted(billed(resolved.resolution.billing.mode), resolved.degraded);
            Ok(answer::resolved(resolved))
        })
        .await
    }

    async fn explain_resolution(
        &self,
        request: Request<v1::ExplainResolutionRequest>,
    ) -> Answer<v1::ExplainResolutionResponse> {
        let call = self.workspace_call(Rpc::ExplainResolution, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let ask = parse::ask(&body.model, &body.provider, &body.purpose)?;
            let explained = ops::explain_resolution(&self.state, &workspace, &ask).await?;
            Ok(answer::explained(explained))
        })
        .await
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Answer<v1::ReportOutcomeResponse> {
        let call = self.workspace_call(Rpc::ReportOutcome, request, |m| &mut m.workspace_id);
        call.run(async |_, _| not_served_yet(Rpc::ReportOutcome))
            .await
    }

    type WatchInvalidationsStream =
        tokio_stream::Empty<Result<v1::WatchInvalidationsResponse, Status>>;

    async fn watch_invalidations(
        &self,
        request: Request<v1::WatchInvalidationsRequest>,
    ) -> Answer<Self::WatchInvalidationsStream> {
        self.run(Rpc::WatchInvalidations, request, async |_, _| {
            not_served_yet(Rpc::WatchInvalidations)
        })
        .await
    }

    async fn set_key(&self, mut request: Request<v1::SetKeyRequest>) -> Answer<v1::SetKeyResponse> {
        let api_key = Zeroizing::new(std::mem::take(&mut request.get_mut().api_key));
        let call = self.workspace_call(Rpc::SetKey, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let mut key =
                parse::new_key(&body.provider, api_key, body.base_url, body.headers, meta)?;
            key.validate_only = body.validate_only;
            key.allow_unverified = body.allow_unverified;
            let request = SetKey {
                key,
                model: parse::optional_model(&body.model)?,
                enable_byo: body.enable_byo,
            };
            let set = ops::set_key(&self.state, &workspace, request).await?;
            Ok(v1::SetKeyResponse {
                key: Some(answer::key(set.key)),
                models: set.models.into_iter().map(answer::model).collect(),
                workspace: Some(answer::workspace(set.workspace)),
                cleared_selections: set.cleared_selections.into_iter().collect(),
            })
        })
        .await
    }

    async fn verify_key(
        &self,
        request: Request<v1::VerifyKeyRequest>,
    ) -> Answer<v1::VerifyKeyResponse> {
        let call = self.workspace_call(Rpc::VerifyKey, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let provider = parse::provider(&body.provider)?;
            let model = parse::optional_model(&body.model)?;
            let checked = ops::verify_key(&self.state, &workspace, provider, model).await?;
            Ok(v1::VerifyKeyResponse {
                key: Some(answer::key(checked.key)),
                verdict: answer::verdict(checked.verdict).into(),
            })
        })
        .await
    }

    async fn select_model(
        &self,
        request: Request<v1::SelectModelRequest>,
    ) -> Answer<v1::SelectModelResponse> {
        let call = self.workspace_call(Rpc::SelectModel, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let request = SelectModel {
                model: parse::optional_model(&body.model)?,
                provider: parse::optional_provider(&body.provider)?,
                meta: parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?,
            };
            let workspace = ops::select_model(&self.state, &workspace, request).await?;
            Ok(v1::SelectModelResponse {
                workspace: Some(answer::workspace(workspace)),
            })
        })
        .await
    }

    async fn delete_key(
        &self,
        request: Request<v1::DeleteKeyRequest>,
    ) -> Answer<v1::DeleteKeyResponse> {
        let call = self.workspace_call(Rpc::DeleteKey, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let provider = parse::provider(&body.provider)?;
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let gone = ops::delete_key(&self.state, &workspace, provider, meta).await?;
            Ok(v1::DeleteKeyResponse {
                workspace: Some(answer::workspace(gone.workspace)),
                deleted: gone.deleted,
            })
        })
        .await
    }

    async fn toggle_byo(
        &self,
        request: Request<v1::ToggleByoRequest>,
    ) -> Answer<v1::ToggleByoResponse> {
        let call = self.workspace_call(Rpc::ToggleByo, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let enabled = body
                .enabled
                .ok_or_else(|| Error::field("enabled", "is required: say true or false"))?;
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let toggled = ops::toggle_byo(&self.state, &workspace, enabled, meta).await?;
            Ok(v1::ToggleByoResponse {
                workspace: Some(answer::workspace(toggled.workspace)),
                providers_without_usable_key: toggled.providers_without_usable_key,
                cleared_selections: toggled.cleared_selections.into_iter().collect(),
            })
        })
        .await
    }

    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Answer<v1::ListModelsResponse> {
        let call = self.workspace_call(Rpc::ListModels, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let (page_size, offset) = parse::page(body.page_size, &body.page_token)?;
            let request = ListModels {
                provider: parse::optional_provider(&body.provider)?,
                include_unavailable: body.include_unavailable,
                refresh: body.refresh,
                page_size,
                offset,
            };
            let page = ops::list_models(&self.state, &workspace, request).await?;
            Ok(v1::ListModelsResponse {
                models: page.models.into_iter().map(answer::model).collect(),
                next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
                as_of: page.as_of.map(answer::timestamp),
            })
        })
        .await
    }

    async fn get_workspace(
        &self,
        request: Request<v1::GetWorkspaceRequest>,
    ) -> Answer<v1::GetWorkspaceResponse> {
        let call = self.workspace_call(Rpc::GetWorkspace, request, |m| &mut m.workspace_id);
        call.run(async |workspace, _| {
            let workspace = ops::get_workspace(&self.state, &workspace).await?;
            Ok(v1::GetWorkspaceResponse {
                workspace: Some(answer::workspace(workspace)),
            })
        })
        .await
    }

    async fn delete_workspace(
        &self,
        request: Request<v1::DeleteWorkspaceRequest>,
    ) -> Answer<v1::DeleteWorkspaceResponse> {
        let call = self.workspace_call(Rpc::DeleteWorkspace, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let workspace = ops::delete_workspace(&self.state, &workspace, meta).await?;
            Ok(v1::DeleteWorkspaceResponse {
                workspace: Some(answer::workspace(workspace)),
            })
        })
        .await
    }

    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Answer<v1::ListAuditEventsResponse> {
        let call = self.workspace_call(Rpc::ListAuditEvents, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let range = record::range(body.start_time, body.end_time)?;
            let (most, after) = record::audit_page(body.page_size, &body.page_token)?;
            let page = ops::list_audit_events(&self.state, &workspace, range, after, most).await?;
            let (events, next_page_token) = record::events(page);
            Ok(v1::ListAuditEventsResponse {
                events,
                next_page_token,
            })
        })
        .await
    }

    async fn list_key_usage(
        &self,
        request: Request<v1::ListKeyUsageRequest>,
    ) -> Answer<v1::ListKeyUsageResponse> {
        let call = self.workspace_call(Rpc::ListKeyUsage, request, |m| &mut m.workspace_id);
        call.run(async |workspace, body| {
            let range = record::range(body.start_time, body.end_time)?;
            let (most, after) = record::usage_page(body.page_size, &body.page_token)?;
            Ok(record::usage(
                ops::list_key_usage(&self.state, &workspace, range, after, most).await?,
            ))
        })
        .await
    }
}
