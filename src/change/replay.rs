//! The answer of a retry: the first result of its request id.
//!
//! Invariants: a request id with another payload is `REQUEST_ID_REUSED`. A replay is a line of the audit stream before it
//! is answered.
//!
//! Not here: remembering a result (`attempt`), forgetting it (`store`).

use serde::de::DeserializeOwned;

use super::{
    changes::Changes,
    request::{ChangeRequest, IdempotencyKey},
};
use crate::{
    audit,
    domain::error::{Error, Reason},
    store::StoredResult,
};

/// Answers a request again.
pub(super) async fn replay<T: DeserializeOwned>(
    changes: &Changes,
    request: &ChangeRequest,
    key: &IdempotencyKey,
    first: StoredResult,
) -> Result<T, Error> {
    let data_key = changes.keyring.get(first.data_key).await?;
    if data_key.fingerprint(&key.payload) != first.fingerprint {
        return Err(Error::new(
            Reason::RequestIdReused,
            "this request_id belongs to an earlier change with other fields; use a new one",
        ));
    }
    let answer = serde_json::from_value(first.result).map_err(Error::internal)?;
    let line = audit::Repeated {
        actor: request.actor.clone(),
        workspace: request.workspace(),
        rpc: request.rpc,
        request_id: key.request_id.clone(),
    };
    changes.audit.repeated(line).await?;
    Ok(answer)
}
