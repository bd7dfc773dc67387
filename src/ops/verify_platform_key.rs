//! VerifyPlatformKey: `verify_key` for the operator's key.

use std::sync::Arc;

use super::{AppState, KeyChecked, verify_key::verify};
use crate::domain::{
    caller::{Caller, Rpc},
    error::Error,
    names::{ModelName, ProviderName, Scope},
};

/// Tests the stored platform key of a provider.
pub async fn verify_platform_key(
    state: &Arc<AppState>,
    caller: &Caller,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<KeyChecked, Error> {
    verify(
        state,
        caller,
        Rpc::VerifyPlatformKey,
        Scope::Platform,
        provider,
        model,
    )
    .await
}
