//! DeletePlatformKey: delete the operator's key for one provider. The key may be absent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    app_state::AppState,
    change::{ChangeMeta, ChangeRequest, Outcome, commit},
    domain::{
        caller::{Caller, Rpc},
        error::Error,
        names::{ProviderName, Scope},
    },
};

/// The outcome of DeletePlatformKey.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeletePlatformKeyOutcome {
    /// Whether the platform had a key.
    pub deleted: bool,
    /// The platform's revision.
    pub revision: u64,
}

/// Deletes a platform key.
pub async fn delete_platform_key(
    state: &Arc<AppState>,
    caller: &Caller,
    provider: ProviderName,
    meta: ChangeMeta,
) -> Result<DeletePlatformKeyOutcome, Error> {
    let (rpc, fields) = (Rpc::DeletePlatformKey, [provider.as_str()]);
    let request = ChangeRequest::new(rpc, Scope::Platform, caller, meta, &fields);
    commit(&state.changes, request, move |draft| {
        let deleted = draft.drop_key(&provider);
        let revision = draft.after().revision();
        let answer = DeletePlatformKeyOutcome { deleted, revision };
        Ok(Outcome::of_provider(draft, provider, answer))
    })
    .await
}
