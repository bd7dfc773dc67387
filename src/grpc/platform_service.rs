//! `byok.v1.PlatformService`: each RPC admits, parses, runs its operation, answers.
//!
//! Invariant: nothing is decided here. Absent: workspaces; an operator's token needs none for these.

use tonic::Request;
use zeroize::Zeroizing;

use super::{
    answer, parse, record,
    services::{Answer, Services},
};
use crate::{
    contract::v1::{self, platform_service_server::PlatformService},
    domain::caller::Rpc,
    ops,
};

#[tonic::async_trait]
impl PlatformService for Services {
    async fn set_platform_key(
        &self,
        mut request: Request<v1::SetPlatformKeyRequest>,
    ) -> Answer<v1::SetPlatformKeyResponse> {
        let api_key = Zeroizing::new(std::mem::take(&mut request.get_mut().api_key));
        self.run(Rpc::SetPlatformKey, request, async |caller, body| {
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let mut key =
                parse::new_key(&body.provider, api_key, body.base_url, body.headers, meta)?;
            key.validate_only = body.validate_only;
            key.allow_unverified = body.allow_unverified;
            let set = ops::set_platform_key(&self.state, &caller, key).await?;
            Ok(v1::SetPlatformKeyResponse {
                key: Some(answer::key(set.key)),
                revision: set.revision,
            })
        })
        .await
    }

    async fn verify_platform_key(
        &self,
        request: Request<v1::VerifyPlatformKeyRequest>,
    ) -> Answer<v1::VerifyPlatformKeyResponse> {
        self.run(Rpc::VerifyPlatformKey, request, async |caller, body| {
            let (provider, model) = (
                parse::provider(&body.provider)?,
                parse::optional_model(&body.model)?,
            );
            let checked = ops::verify_platform_key(&self.state, &caller, provider, model).await?;
            Ok(v1::VerifyPlatformKeyResponse {
                key: Some(answer::key(checked.key)),
                verdict: answer::verdict(checked.verdict).into(),
            })
        })
        .await
    }

    async fn delete_platform_key(
        &self,
        request: Request<v1::DeletePlatformKeyRequest>,
    ) -> Answer<v1::DeletePlatformKeyResponse> {
        self.run(Rpc::DeletePlatformKey, request, async |caller, body| {
            let provider = parse::provider(&body.provider)?;
            let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
            let gone = ops::delete_platform_key(&self.state, &caller, provider, meta).await?;
            Ok(v1::DeletePlatformKeyResponse {
                deleted: gone.deleted,
                revision: gone.revision,
            })
        })
        .await
    }

    async fn list_platform_keys(
        &self,
        request: Request<v1::ListPlatformKeysRequest>,
    ) -> Answer<v1::ListPlatformKeysResponse> {
        self.run(Rpc::ListPlatformKeys, request, async |_, _| {
            let listed = ops::list_platform_keys(&self.state).await?;
            Ok(v1::ListPlatformKeysResponse {
                keys: listed.keys.into_iter().map(answer::key).collect(),
                revision: listed.revision,
            })
        })
        .await
    }

    async fn list_platform_audit_events(
        &self,
        request: Request<v1::ListPlatformAuditEventsRequest>,
    ) -> Answer<v1::ListPlatformAuditEventsResponse> {
        self.run(Rpc::ListPlatformAuditEvents, request, async |_, body| {
            let range = record::range(body.start_time, body.end_time)?;
            let (most, after) = record::audit_page(body.page_size, &body.page_token)?;
            let page = ops::list_platform_audit_events(&self.state, range, after, most).await?;
            let (events, next_page_token) = record::events(page);
            Ok(v1::ListPlatformAuditEventsResponse {
                events,
                next_page_token,
            })
        })
        .await
    }
}
