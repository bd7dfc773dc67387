//! The first result of each change that named a request id.
//!
//! Invariants: scoped to workspace (or platform) and RPC; written in the change's own transaction, so that only
//! committed results are remembered; holds no secret, and the payload only as an HMAC.
//!
//! Absent: comparing fingerprints, which needs a data key (`ops`).

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult,
    QueryFilter, QueryResult, QueryTrait, Statement,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Store,
    entities::request_results,
    fault::{corrupt, unavailable},
    moment::Moment,
};
use crate::domain::{
    caller::Rpc,
    envelope::DataKeyId,
    error::Error,
    names::{RequestId, Scope},
};

/// A result that a retry finds.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What was called.
    pub rpc: Rpc,
    /// The retry's name for it.
    pub request_id: RequestId,
    /// The data key that the fingerprint rests on.
    pub data_key: DataKeyId,
    /// HMAC of the payload.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub result: Value,
    /// When it is forgotten.
    pub expires_at: OffsetDateTime,
}

impl Store {
    /// Finds what a request id did, if it is not forgotten.
    pub async fn find_result(
        &self,
        scope: &Scope,
        rpc: Rpc,
        request_id: &RequestId,
        now: OffsetDateTime,
    ) -> Result<Option<Remembered>, Error> {
        let rows = self.rows(select(self.backend(), scope, rpc, request_id));
        let rows = self.observed("find_result", rows).await?;
        found(&rows, rpc, request_id, now)
    }

    /// Forgets the results whose time is over.
    pub async fn purge_results(&self, now: OffsetDateTime) -> Result<u64, Error> {
        self.purge(
            request_results::Entity::delete_many()
                .filter(request_results::Column::ExpiresAt.lte(now)),
        )
        .await
    }
}

#[derive(FromQueryResult)]
struct Row {
    bucket: i32,
    data_key_version: i64,
    fingerprint: Vec<u8>,
    result: Value,
    expires_at: Moment,
}

/// The statement that finds a result.
pub(super) fn select(
    backend: DatabaseBackend,
    scope: &Scope,
    rpc: Rpc,
    request_id: &RequestId,
) -> Statement {
    let id = (
        scope.kind().to_owned(),
        scope.workspace_id().to_owned(),
        rpc.as_str().to_owned(),
        request_id.to_string(),
    );
    request_results::Entity::find_by_id(id).build(backend)
}

/// The result that `select` found, if it is not forgotten.
pub(super) fn found(
    rows: &[QueryResult],
    rpc: Rpc,
    request_id: &RequestId,
    now: OffsetDateTime,
) -> Result<Option<Remembered>, Error> {
    let found = rows
        .first()
        .map(|row| Row::from_query_result(row, ""))
        .transpose();
    let found = found.map_err(unavailable)?;
    let Some(row) = found.filter(|row| row.expires_at.0 > now) else {
        return Ok(None);
    };
    let data_key = DataKeyId {
        bucket: u16::try_from(row.bucket).map_err(|_| corrupt("a bucket beyond its range"))?,
        version: u32::try_from(row.data_key_version)
            .map_err(|_| corrupt("a data-key version beyond its range"))?,
    };
    Ok(Some(Remembered {
        rpc,
        request_id: request_id.clone(),
        data_key,
        fingerprint: row.fingerprint,
        result: row.result,
        expires_at: row.expires_at.0,
    }))
}

/// Writes a result. An expired one of the same id makes room; that there is no live one, the caller asked under the
/// same lock.
pub(super) async fn remember(
    transaction: &impl ConnectionTrait,
    scope: &Scope,
    remembered: Remembered,
) -> Result<(), Error> {
    let key = (
        scope.kind().to_owned(),
        scope.workspace_id().to_owned(),
        remembered.rpc.as_str().to_owned(),
        remembered.request_id.to_string(),
    );
    request_results::Entity::delete_by_id(key.clone())
        .exec(transaction)
        .await
        .map_err(unavailable)?;
    let row = request_results::ActiveModel {
        scope: Set(key.0),
        workspace_id: Set(key.1),
        rpc: Set(key.2),
        request_id: Set(key.3),
        bucket: Set(i32::from(remembered.data_key.bucket)),
        data_key_version: Set(i64::from(remembered.data_key.version)),
        fingerprint: Set(remembered.fingerprint),
        result: Set(remembered.result),
        expires_at: Set(remembered.expires_at),
    };
    request_results::Entity::insert(row)
        .exec_without_returning(transaction)
        .await
        .map_err(unavailable)?;
    Ok(())
}
