//! VerifyPlatformKey: `verify_key` for the operator's key.

use std::sync::Arc;

use super::{KeyChecked, Parts, verify_key};
use crate::domain::{
    error::Error,
    names::{ModelName, ProviderName, Scope},
    principal::{Principal, Rpc},
};

/// Tests the stored platform key of a provider.
pub async fn verify_platform_key(
    parts: &Arc<Parts>,
    caller: &Principal,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<KeyChecked, Error> {
    verify_key(parts, caller, Rpc::VerifyPlatformKey, Scope::Platform, provider, model).await
}
