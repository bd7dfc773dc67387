//! Conversion between column values and the domain's types.
//!
//! Invariants: a value that byokd never writes is an error, never a default or a panic.

use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row as _;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::db_error::corrupt;
use crate::domain::{
    envelope::DataKeyId,
    error::Error,
    names::{Scope, WorkspaceId},
};

/// PostgreSQL counts microseconds from here.
const POSTGRES_EPOCH: OffsetDateTime = datetime!(2000-01-01 0:00 UTC);

/// A time in a row. PostgreSQL stores times that `OffsetDateTime` cannot hold, such as `infinity`, and sqlx panics on
/// them; here they are values of the wrong type.
struct StoredTime(OffsetDateTime);

impl TryGetable for StoredTime {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let Some(postgres) = row.try_as_pg_row() else {
            return OffsetDateTime::try_get_by(row, index).map(Self);
        };
        let micros: Option<i64> = postgres
            .try_get_unchecked(index.as_sqlx_postgres_index())
            .map_err(|error| wrong_type(&error))?;
        let micros = micros.ok_or_else(|| TryGetError::Null(format!("{index:?}")))?;
        POSTGRES_EPOCH
            .checked_add(Duration::microseconds(micros))
            .map(Self)
            .ok_or_else(|| wrong_type(&format!("{index:?} is a time outside the calendar")))
    }
}

fn wrong_type(cause: &impl ToString) -> TryGetError {
    DbErr::Type(cause.to_string()).into()
}

/// Reads a time.
pub(super) fn time(row: &QueryResult, column: &str) -> Result<OffsetDateTime, DbErr> {
    Ok(row.try_get::<StoredTime>("", column)?.0)
}

/// Reads a time that may be absent.
pub(super) fn optional_time(
    row: &QueryResult,
    column: &str,
) -> Result<Option<OffsetDateTime>, DbErr> {
    let time: Option<StoredTime> = row.try_get("", column)?;
    Ok(time.map(|time| time.0))
}

/// A count from a `bigint` column.
pub(super) fn count(stored: i64) -> Result<u64, Error> {
    u64::try_from(stored).map_err(|_| corrupt("a negative count"))
}

/// A count for a `bigint` column.
pub(super) fn bigint(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|_| corrupt("a count beyond 63 bits"))
}

/// A bucket from its column.
pub(super) fn bucket(stored: i32) -> Result<u16, Error> {
    u16::try_from(stored).map_err(|_| corrupt("a bucket out of range"))
}

/// A data key's id from its two columns.
pub(super) fn data_key_id(stored_bucket: i32, version: i64) -> Result<DataKeyId, Error> {
    Ok(DataKeyId {
        bucket: bucket(stored_bucket)?,
        version: u32::try_from(version).map_err(|_| corrupt("a data-key version out of range"))?,
    })
}

/// The primary key of `data_keys`.
pub(super) fn data_key_columns(id: DataKeyId) -> (i32, i64) {
    (i32::from(id.bucket), i64::from(id.version))
}

/// A scope from its two columns.
pub(super) fn scope(kind: &str, workspace_id: &str) -> Result<Scope, Error> {
    match kind {
        "workspace" => Ok(Scope::Workspace(
            WorkspaceId::parse(workspace_id).map_err(corrupt)?,
        )),
        "platform" => Ok(Scope::Platform),
        _ => Err(corrupt("an unknown scope")),
    }
}

/// The columns `scope` and `workspace_id`.
pub(super) fn scope_columns(scope: &Scope) -> (String, String) {
    (scope.kind().to_owned(), scope.workspace_id().to_owned())
}

/// Reads a JSON column.
pub(super) fn json<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|_| corrupt("a JSON column of another shape"))
}
