//! From messages to the domain's types.
//!
//! Invariants: the workspace's form comes first, then whether the caller may speak of it, then everything else. A field
//! of the wrong form is named and never repeated. A key leaves its message before anything can refuse the call, and is wiped.
//!
//! Not here: whether names mean anything.

use std::collections::{BTreeMap, HashMap};

use zeroize::Zeroizing;

use crate::{
    change::ChangeMeta,
    domain::{
        error::{Error, Reason},
        names::{
            Malformed, ModelName, OnBehalfOf, ProviderName, PurposeName, RequestId, WorkspaceId,
        },
        resolution::Ask,
        secret::{ApiKey, looks_like_key},
    },
    key_check::NewKey,
};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: u32 = 1000;
const MAX_HEADERS: usize = 16;

pub(super) fn workspace(id: &str) -> Result<WorkspaceId, Error> {
    no_key("workspace_id", id)?;
    required("workspace_id", id, WorkspaceId::parse)
}

/// A field that must be there.
pub(super) fn required<T>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, Malformed>,
) -> Result<T, Error> {
    if text.is_empty() {
        return Err(Error::field(field, "is required"));
    }
    parse(text).map_err(|malformed| Error::field(field, malformed))
}

/// A field that may be empty.
pub(super) fn optional<T>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Result<T, Malformed>,
) -> Result<Option<T>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        required(field, text, parse).map(Some)
    }
}

/// Rejects a key that was pasted into a name, because answers, errors and audit rows repeat names.
fn no_key(field: &'static str, name: &str) -> Result<(), Error> {
    if looks_like_key(name) {
        return Err(Error::field(
            field,
            "looks like a key, which goes into `api_key` and nowhere else",
        ));
    }
    Ok(())
}

pub(super) fn provider(name: &str) -> Result<ProviderName, Error> {
    no_key("provider", name)?;
    required("provider", name, ProviderName::parse)
}

pub(super) fn optional_provider(name: &str) -> Result<Option<ProviderName>, Error> {
    no_key("provider", name)?;
    optional("provider", name, ProviderName::parse)
}

pub(super) fn optional_model(name: &str) -> Result<Option<ModelName>, Error> {
    no_key("model", name)?;
    optional("model", name, ModelName::parse)
}

/// What a resolution is asked for.
pub(super) fn ask(model: &str, provider: &str, purpose: &str) -> Result<Ask, Error> {
    Ok(Ask {
        model: optional_model(model)?,
        provider: optional_provider(provider)?,
        purpose: optional("purpose", purpose, PurposeName::parse)?
            .unwrap_or_else(PurposeName::reply),
    })
}

/// What every change may carry.
pub(super) fn meta(
    request_id: &str,
    expected_revision: Option<u64>,
    on_behalf_of: &str,
) -> Result<ChangeMeta, Error> {
    no_key("request_id", request_id)?;
    no_key("on_behalf_of", on_behalf_of)?;
    Ok(ChangeMeta {
        request_id: optional("request_id", request_id, RequestId::parse)?,
        expected_revision,
        on_behalf_of: OnBehalfOf::parse(on_behalf_of)
            .map_err(|why| Error::field("on_behalf_of", why))?,
    })
}

/// A key that is brought, before its options.
pub(super) fn new_key(
    name: &str,
    mut api_key: Zeroizing<String>,
    base_url: String,
    headers: HashMap<String, String>,
    meta: ChangeMeta,
) -> Result<NewKey, Error> {
    if headers.len() > MAX_HEADERS {
        return Err(Error::field("headers", "may hold at most 16 headers"));
    }
    Ok(NewKey {
        provider: provider(name)?,
        api_key: ApiKey::parse(std::mem::take(&mut *api_key)).map_err(|fault| {
            Error::new(Reason::KeyMalformed, fault.advice()).in_field("api_key")
        })?,
        base_url,
        headers: BTreeMap::from_iter(headers),
        validate_only: false,
        allow_unverified: false,
        meta,
    })
}

/// How many entries of a list.
pub(super) fn page_size(size: u32) -> Result<usize, Error> {
    match size {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => usize::try_from(size).map_err(Error::internal),
        _ => Err(Error::field("page_size", "must be at most 1000")),
    }
}

/// How many entries of a list, and after how many.
pub(super) fn page(size: u32, token: &str) -> Result<(usize, usize), Error> {
    let size = page_size(size)?;
    let offset = match token {
        "" => 0,
        token => {
            let digits = token
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(token);
            let offset = digits.and_then(|digits| digits.parse().ok());
            offset.ok_or_else(|| Error::field("page_token", "is not one that this RPC gave"))?
        }
    };
    Ok((size, offset))
}
