//! Requests as tests write them, and the reasons in refusals.

use byokd::contract::v1;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};
use tonic_types::StatusExt as _;

/// A synthetic OpenAI key; `n` makes it unique.
pub(crate) fn openai_key(n: u32) -> String {
    format!("sk-proj-SYNTHETIC-{n:08}-abcdefgh")
}

/// A synthetic Anthropic key.
pub(crate) fn anthropic_key(n: u32) -> String {
    format!("sk-ant-api03-SYNTHETIC-{n:08}-abcdefgh")
}

/// A request that only sets a key.
pub(crate) fn new_key(workspace: &str, provider: &str, key: &str) -> v1::SetKeyRequest {
    v1::SetKeyRequest {
        workspace_id: workspace.to_owned(),
        provider: provider.to_owned(),
        api_key: key.to_owned(),
        ..Default::default()
    }
}

/// A request to resolve; empty names are left open.
pub(crate) fn ask(
    workspace: &str,
    model: &str,
    provider: &str,
    purpose: &str,
) -> v1::ResolveCredentialsRequest {
    v1::ResolveCredentialsRequest {
        workspace_id: workspace.to_owned(),
        model: model.to_owned(),
        provider: provider.to_owned(),
        purpose: purpose.to_owned(),
    }
}

/// The reason of a status, as the contract promises it.
pub(crate) fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "byokd");
    info.reason
}

/// The reason of an error; panics if there was none.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    reason(&result.unwrap_err())
}

/// Adds a token to every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    pub(crate) fn new(token: &str) -> Self {
        Self(format!("Bearer {token}").parse().unwrap())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}
