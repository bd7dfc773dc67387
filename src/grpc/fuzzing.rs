//! The conversion of requests, as the fuzz targets call it. No build that ships has it.
//!
//! Not here: the services around it, which need a database.

use zeroize::Zeroizing;

use super::parse;
use crate::{
    contract::v1,
    domain::{error::Error, names::WorkspaceId, resolution::Ask},
    key_check::NewKey,
};

/// `SetKey`, as the service reads it.
pub fn set_key(mut body: v1::SetKeyRequest) -> Result<(WorkspaceId, NewKey), Error> {
    let api_key = Zeroizing::new(std::mem::take(&mut body.api_key));
    let workspace = parse::workspace(&body.workspace_id)?;
    let meta = parse::meta(&body.request_id, body.expected_revision, &body.on_behalf_of)?;
    let key = parse::new_key(&body.provider, api_key, body.base_url, body.headers, meta)?;
    parse::optional_model(&body.model)?;
    Ok((workspace, key))
}

/// What a resolution is asked for.
pub fn ask(model: &str, provider: &str, purpose: &str) -> Result<Ask, Error> {
    parse::ask(model, provider, purpose)
}

/// How many entries of a list, and after how many.
pub fn page(size: u32, token: &str) -> Result<(usize, usize), Error> {
    parse::page(size, token)
}
