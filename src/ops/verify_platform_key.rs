//! VerifyPlatformKey: VerifyKey for the operator's key.

use std::sync::Arc;

use super::verify_key::{VerifyKeyOutcome, verify};
use crate::{
    app_state::AppState,
    domain::{
        caller::{Caller, Rpc},
        error::Error,
        names::{ModelName, ProviderName, Scope},
    },
};

/// Checks the stored platform key of a provider.
pub async fn verify_platform_key(
    state: &Arc<AppState>,
    caller: &Caller,
    provider: ProviderName,
    model: Option<ModelName>,
) -> Result<VerifyKeyOutcome, Error> {
    let (rpc, scope) = (Rpc::VerifyPlatformKey, Scope::Platform);
    verify(state, caller, rpc, scope, provider, model).await
}
