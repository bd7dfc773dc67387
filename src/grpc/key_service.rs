//! `byok.v1.KeyService`: each RPC admits, parses, runs its operation, answers.
//!
//! Invariant: nothing is decided here. Absent: what a later version serves answers `NOT_IMPLEMENTED_YET`, to callers
//! that may call it.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::{Services, answer, call::Call, gate::Refusal, not_served_yet, parse, record, status};
use crate::{
    contract::v1::{self, key_service_server::KeyService},
    domain::{
        caller::{Caller, Rpc},
        error::Error,
        names::Scope,
        resolution::BillingMode,
    },
    ops::{self, ListModels, SelectModel, SetKey},
    telemetry::metrics::{self, Billed},
};

type Answer<T> = Result<Response<T>, Status>;

impl Services {
    /// Admits a caller, runs the rest of an RPC, puts a refusal on record, and makes statuses of errors. `workspace` is
    /// what the caller wrote in its place; empty: nothing.
    pub(super) async fn run<T>(
        &self,
        rpc: Rpc,
        call: &Call,
        workspace: &str,
        rest: impl AsyncFnOnce(Arc<Caller>) -> Result<T, Error>,
    ) -> Answer<T> {
        let (error, caller) = match self.gate.admit(call, rpc).await {
            Ok(caller) => match rest(Arc::clone(&caller)).await {
                Ok(answer) => return Ok(Response::new(answer)),
                Err(error) => (error, Some(caller)),
            },
            Err(Refusal { error, caller }) => (error, caller),
        };
        let recorded = Box::pin(
            self.state
                .audit
                .refused(rpc, caller, workspace, error.reason()),
        )
        .await;
        Err(status::of(recorded.err().unwrap_or(error), rpc))
    }
}

/// What is left of an RPC that is not served yet: identity, role and workspace are still checked.
async fn later<T>(
    services: &Services,
    rpc: Rpc,
    call: &Call,
    workspace: Option<&str>,
) -> Answer<T> {
    let answer = services.run(
        rpc,
        call,
        workspace.unwrap_or_default(),
        async |caller: Arc<Caller>| {
            workspace
                .map(|id| parse::workspace(&caller, id))
                .transpose()?;
            Err(not_served_yet(rpc))
        },
    );
    answer.await
}

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
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ResolveCredentials,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let ask = parse::ask(&body.model, &body.provider, &body.purpose)?;
                let resolved =
                    ops::resolve_credentials(&self.state, &caller, &workspace, &ask).await?;
                metrics::granted(billed(resolved.resolution.billing.mode), resolved.degraded);
                Ok(answer::resolved(resolved))
            },
        )
        .await
    }

    async fn explain_resolution(
        &self,
        request: Request<v1::ExplainResolutionRequest>,
    ) -> Answer<v1::ExplainResolutionResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ExplainResolution,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let ask = parse::ask(&body.model, &body.provider, &body.purpose)?;
                let explained =
                    ops::explain_resolution(&self.state, &caller, &workspace, &ask).await?;
                Ok(answer::explained(explained))
            },
        )
        .await
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Answer<v1::ReportOutcomeResponse> {
        let (call, body) = Call::of(request);
        later(self, Rpc::ReportOutcome, &call, Some(&body.workspace_id)).await
    }

    type WatchInvalidationsStream =
        tokio_stream::Empty<Result<v1::WatchInvalidationsResponse, Status>>;

    async fn watch_invalidations(
        &self,
        request: Request<v1::WatchInvalidationsRequest>,
    ) -> Answer<Self::WatchInvalidationsStream> {
        let (call, _) = Call::of(request);
        later(self, Rpc::WatchInvalidations, &call, None).await
    }

    async fn set_key(&self, request: Request<v1::SetKeyRequest>) -> Answer<v1::SetKeyResponse> {
        let (call, mut body) = Call::of(request);
        let api_key = Zeroizing::new(std::mem::take(&mut body.api_key));
        self.run(
            Rpc::SetKey,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let meta =
                    parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
                let mut key =
                    parse::new_key(&body.provider, api_key, body.base_url, body.headers, meta)?;
                key.validate_only = body.validate_only;
                key.allow_unverified = body.allow_unverified;
                let request = SetKey {
                    key,
                    model: parse::optional_model(&body.model)?,
                    enable_byo: body.enable_byo,
                };
                let set = ops::set_key(&self.state, &caller, workspace, request).await?;
                Ok(v1::SetKeyResponse {
                    key: Some(answer::key(set.key)),
                    models: set.models.into_iter().map(answer::model).collect(),
                    workspace: Some(answer::workspace(set.workspace)),
                    cleared_selections: set.cleared_selections.into_iter().collect(),
                })
            },
        )
        .await
    }

    async fn verify_key(
        &self,
        request: Request<v1::VerifyKeyRequest>,
    ) -> Answer<v1::VerifyKeyResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::VerifyKey,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let scope = Scope::Workspace(parse::workspace(&caller, &body.workspace_id)?);
                let (provider, model) = (
                    parse::provider(&body.provider)?,
                    parse::optional_model(&body.model)?,
                );
                let checked =
                    ops::verify_key(&self.state, &caller, Rpc::VerifyKey, scope, provider, model)
                        .await?;
                Ok(v1::VerifyKeyResponse {
                    key: Some(answer::key(checked.key)),
                    verdict: answer::verdict(checked.verdict).into(),
                })
            },
        )
        .await
    }

    async fn select_model(
        &self,
        request: Request<v1::SelectModelRequest>,
    ) -> Answer<v1::SelectModelResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::SelectModel,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let request = SelectModel {
                    model: parse::optional_model(&body.model)?,
                    provider: parse::optional_provider(&body.provider)?,
                    meta: parse::meta(
                        &body.request_id,
                        body.expected_revision,
                        &body.on_behalf_of,
                    )?,
                };
                let workspace = ops::select_model(&self.state, &caller, workspace, request).await?;
                Ok(v1::SelectModelResponse {
                    workspace: Some(answer::workspace(workspace)),
                })
            },
        )
        .await
    }

    async fn delete_key(
        &self,
        request: Request<v1::DeleteKeyRequest>,
    ) -> Answer<v1::DeleteKeyResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::DeleteKey,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let provider = parse::provider(&body.provider)?;
                let meta =
                    parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
                let gone = ops::delete_key(&self.state, &caller, workspace, provider, meta).await?;
                Ok(v1::DeleteKeyResponse {
                    workspace: Some(answer::workspace(gone.workspace)),
                    deleted: gone.deleted,
                })
            },
        )
        .await
    }

    async fn toggle_byo(
        &self,
        request: Request<v1::ToggleByoRequest>,
    ) -> Answer<v1::ToggleByoResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ToggleByo,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let enabled = body
                    .enabled
                    .ok_or_else(|| Error::field("enabled", "is required: say true or false"))?;
                let meta =
                    parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
                let toggled =
                    ops::toggle_byo(&self.state, &caller, workspace, enabled, meta).await?;
                Ok(v1::ToggleByoResponse {
                    workspace: Some(answer::workspace(toggled.workspace)),
                    providers_without_usable_key: toggled.providers_without_usable_key,
                    cleared_selections: toggled.cleared_selections.into_iter().collect(),
                })
            },
        )
        .await
    }

    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Answer<v1::ListModelsResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ListModels,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let (page_size, offset) = parse::page(body.page_size, &body.page_token)?;
                let request = ListModels {
                    provider: parse::optional_provider(&body.provider)?,
                    include_unavailable: body.include_unavailable,
                    refresh: body.refresh,
                    page_size,
                    offset,
                };
                let page = ops::list_models(&self.state, &caller, workspace, request).await?;
                Ok(v1::ListModelsResponse {
                    models: page.models.into_iter().map(answer::model).collect(),
                    next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
                    as_of: page.as_of.map(answer::timestamp),
                })
            },
        )
        .await
    }

    async fn get_workspace(
        &self,
        request: Request<v1::GetWorkspaceRequest>,
    ) -> Answer<v1::GetWorkspaceResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::GetWorkspace,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let workspace = ops::get_workspace(&self.state, &workspace).await?;
                Ok(v1::GetWorkspaceResponse {
                    workspace: Some(answer::workspace(workspace)),
                })
            },
        )
        .await
    }

    async fn delete_workspace(
        &self,
        request: Request<v1::DeleteWorkspaceRequest>,
    ) -> Answer<v1::DeleteWorkspaceResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::DeleteWorkspace,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let meta =
                    parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
                let workspace =
                    ops::delete_workspace(&self.state, &caller, workspace, meta).await?;
                Ok(v1::DeleteWorkspaceResponse {
                    workspace: Some(answer::workspace(workspace)),
                })
            },
        )
        .await
    }

    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Answer<v1::ListAuditEventsResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ListAuditEvents,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let range = record::range(body.start_time, body.end_time)?;
                let (most, after) = record::audit_page(body.page_size, &body.page_token)?;
                let page =
                    ops::list_audit_events(&self.state, workspace, range, after, most).await?;
                let (events, next_page_token) = record::events(page);
                Ok(v1::ListAuditEventsResponse {
                    events,
                    next_page_token,
                })
            },
        )
        .await
    }

    async fn list_key_usage(
        &self,
        request: Request<v1::ListKeyUsageRequest>,
    ) -> Answer<v1::ListKeyUsageResponse> {
        let (call, body) = Call::of(request);
        self.run(
            Rpc::ListKeyUsage,
            &call,
            &body.workspace_id,
            async |caller: Arc<Caller>| {
                let workspace = parse::workspace(&caller, &body.workspace_id)?;
                let range = record::range(body.start_time, body.end_time)?;
                let (most, after) = record::usage_page(body.page_size, &body.page_token)?;
                Ok(record::usage(
                    ops::list_key_usage(&self.state, &workspace, range, after, most).await?,
                ))
            },
        )
        .await
    }
}
