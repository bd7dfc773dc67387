//! `request_results`: the first result of each change that named a request id.
//!
//! Invariants:
//! - A result belongs to one workspace (or the platform) and one RPC.
//! - It is written in the change's own transaction, so that only committed results are stored.
//! - It holds no secret. The payload is stored only as an HMAC.
//!
//! Not here: comparing fingerprints, which needs a data key (`ops`).

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, QueryFilter,
    QueryTrait,
};
use serde_json::Value;
use time::OffsetDateTime;

use crate::domain::{
    caller::Rpc,
    envelope::DataKeyId,
    error::Error,
    names::{RequestId, Scope},
};
use crate::store::{
    entities::request_results::{ActiveModel, Column, Entity},
    values::{data_key_columns, data_key_id, time},
};

/// The stored result of a change, for retries with the same request id.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// The RPC.
    pub rpc: Rpc,
    /// The idempotency key of the request.
    pub request_id: RequestId,
    /// The data key that the fingerprint's key is derived from.
    pub data_key: DataKeyId,
    /// HMAC of the payload.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub result: Value,
    /// From then on a retry is a new request.
    pub expires_at: OffsetDateTime,
}

/// Finds the result of a request id, unless it has expired.
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    rpc: Rpc,
    request_id: &RequestId,
    now: OffsetDateTime,
) -> Result<Option<StoredResult>, Error> {
    let find = Entity::find_by_id(primary_key(scope, rpc, request_id)).into_query();
    let Some(row) = connection.query_one(&find).await? else {
        return Ok(None);
    };
    let expires_at = time(&row, "expires_at")?;
    if expires_at <= now {
        return Ok(None);
    }
    Ok(Some(StoredResult {
        rpc,
        request_id: request_id.clone(),
        data_key: data_key_id(
            row.try_get("", "bucket")?,
            row.try_get("", "data_key_version")?,
        )?,
        fingerprint: row.try_get("", "fingerprint")?,
        result: row.try_get("", "result")?,
        expires_at,
    }))
}

/// Writes a result in place of an expired one. The caller has checked under the holder's lock that no valid one exists.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    result: StoredResult,
) -> Result<(), Error> {
    let key = primary_key(scope, result.rpc, &result.request_id);
    Entity::delete_by_id(key.clone()).exec(connection).await?;
    let (scope, workspace_id, rpc, request_id) = key;
    let (bucket, data_key_version) = data_key_columns(result.data_key);
    let row = ActiveModel {
        scope: Set(scope),
        workspace_id: Set(workspace_id),
        rpc: Set(rpc),
        request_id: Set(request_id),
        bucket: Set(bucket),
        data_key_version: Set(data_key_version),
        fingerprint: Set(result.fingerprint),
        result: Set(result.result),
        expires_at: Set(result.expires_at),
    };
    Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

fn primary_key(
    scope: &Scope,
    rpc: Rpc,
    request_id: &RequestId,
) -> (String, String, String, String) {
    (
        scope.kind().to_owned(),
        scope.workspace_id().to_owned(),
        rpc.as_str().to_owned(),
        request_id.to_string(),
    )
}

/// Deletes expired results.
pub(crate) fn purge(now: OffsetDateTime) -> DeleteMany<Entity> {
    Entity::delete_many().filter(Column::ExpiresAt.lte(now))
}
