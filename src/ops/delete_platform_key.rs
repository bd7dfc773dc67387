//! DeletePlatformKey: the operator's key for one provider goes. An absent key is fine.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AppState, ChangeMeta,
    commit::{Intent, Planned, commit},
    view::remembered,
};
use crate::domain::{
    caller::{Caller, Rpc},
    error::Error,
    names::{ProviderName, Scope},
};

/// The platform without the key.
#[derive(Debug, Deserialize, Serialize)]
pub struct PlatformKeyDeleted {
    /// Whether there was a key.
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
) -> Result<PlatformKeyDeleted, Error> {
    let intent = Intent::new(
        Rpc::DeletePlatformKey,
        Scope::Platform,
        caller,
        meta,
        &[provider.as_str()],
    );
    commit(state, intent, move |draft| {
        let deleted = draft.drop_key(&provider);
        Ok(Planned {
            answer: PlatformKeyDeleted {
                deleted,
                revision: draft.after().revision(),
            },
            before: remembered(draft.before(), &provider),
            after: remembered(draft.after(), &provider),
            provider: Some(provider),
            verdict: None,
        })
    })
    .await
}
