//! `data_keys`: data keys as the KMS wrapped them.
//!
//! Invariants:
//! - A data key is inserted if it is absent, in a transaction of its own. It seals nothing before that commits.
//! - Of two replicas that race to insert one, the row shows which one won.
//! - The successor of a data key is inserted in the transaction that retires the data key.
//!
//! Not here: wrapping and unwrapping (`keyring`, `kms`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, DeleteMany, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};
use time::OffsetDateTime;

use crate::domain::{envelope::DataKeyId, error::Error};
use crate::store::{
    entities::data_keys::{ActiveModel, Column, Entity},
    values::{data_key_columns, data_key_id},
};

/// A data key as it is stored.
#[derive(Clone, Debug)]
pub struct DataKeyRow {
    /// Bucket and version.
    pub id: DataKeyId,
    /// The data key as the KMS wrapped it.
    pub wrapped: Vec<u8>,
    /// The ARN of the KMS key, as the KMS returned it.
    pub kms_key_arn: String,
    /// Whether new records may be sealed under it.
    pub active: bool,
}

/// Reads a data key. Its times are not read, so that a damaged one does no harm.
fn read(row: &QueryResult) -> Result<DataKeyRow, Error> {
    Ok(DataKeyRow {
        id: data_key_id(row.try_get("", "bucket")?, row.try_get("", "version")?)?,
        wrapped: row.try_get("", "wrapped")?,
        kms_key_arn: row.try_get("", "kms_key_arn")?,
        active: row.try_get::<String>("", "state")? == "active",
    })
}

/// Reads every data key except damaged rows, which are logged.
pub(crate) async fn list(connection: &impl ConnectionTrait) -> Result<Vec<DataKeyRow>, Error> {
    let rows = connection.query_all(&Entity::find().into_query()).await?;
    let log = |error: &Error| tracing::error!(?error, "a row of a data key is damaged");
    Ok(rows
        .iter()
        .filter_map(|row| read(row).inspect_err(log).ok())
        .collect())
}

/// Reads one data key.
pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    id: DataKeyId,
) -> Result<Option<DataKeyRow>, Error> {
    let find = Entity::find_by_id(data_key_columns(id)).into_query();
    let row = connection.query_one(&find).await?;
    row.as_ref().map(read).transpose()
}

/// Reads the newest active data key of a bucket.
pub(crate) async fn find_active(
    connection: &impl ConnectionTrait,
    bucket: u16,
) -> Result<Option<DataKeyRow>, Error> {
    let find = Entity::find()
        .filter(Column::Bucket.eq(i32::from(bucket)))
        .filter(Column::State.eq("active"))
        .order_by_desc(Column::Version)
        .limit(1)
        .into_query();
    let row = connection.query_one(&find).await?;
    row.as_ref().map(read).transpose()
}

/// Locks a data key until the transaction ends and returns it as wrapped; `None`: it is not active.
pub(crate) async fn lock_active(
    transaction: &DatabaseTransaction,
    id: DataKeyId,
) -> Result<Option<Vec<u8>>, DbErr> {
    let row = Entity::find_by_id(data_key_columns(id))
        .select_only()
        .column(Column::State)
        .column(Column::Wrapped)
        .lock_shared()
        .into_tuple::<(String, Vec<u8>)>()
        .one(transaction)
        .await?;
    Ok(row
        .filter(|(state, _)| state == "active")
        .map(|(_, wrapped)| wrapped))
}

/// Inserts the data keys that are absent and returns how many.
pub(crate) async fn insert_absent(
    connection: &impl ConnectionTrait,
    new: impl IntoIterator<Item = DataKeyRow>,
    now: OffsetDateTime,
) -> Result<u64, DbErr> {
    Entity::insert_many(new.into_iter().map(|key| columns(key, now)))
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(connection)
        .await
}

/// Retires every active data key of the successor's bucket, except the successor.
pub(crate) async fn retire_others(
    connection: &impl ConnectionTrait,
    successor: DataKeyId,
    now: OffsetDateTime,
) -> Result<(), DbErr> {
    let (bucket, version) = data_key_columns(successor);
    let retired = ActiveModel {
        state: Set("retired".to_owned()),
        retired_at: Set(Some(now)),
        ..Default::default()
    };
    Entity::update_many()
        .set(retired)
        .filter(Column::Bucket.eq(bucket))
        .filter(Column::Version.ne(version))
        .filter(Column::State.eq("active"))
        .exec(connection)
        .await?;
    Ok(())
}

/// Replaces the wrapping of a data key, unless it changed since `before` was read. Returns whether it was replaced.
pub(crate) async fn replace_wrapping(
    connection: &impl ConnectionTrait,
    before: &DataKeyRow,
    after: DataKeyRow,
) -> Result<bool, DbErr> {
    let (bucket, version) = data_key_columns(before.id);
    let wrapping = ActiveModel {
        wrapped: Set(after.wrapped),
        kms_key_arn: Set(after.kms_key_arn),
        ..Default::default()
    };
    let replaced = Entity::update_many()
        .set(wrapping)
        .filter(Column::Bucket.eq(bucket))
        .filter(Column::Version.eq(version))
        .filter(Column::Wrapped.eq(before.wrapped.clone()))
        .exec(connection)
        .await?;
    Ok(replaced.rows_affected == 1)
}

/// Deletes the data keys that were retired before `before` and that no row refers to.
pub(crate) fn purge(before: OffsetDateTime) -> DeleteMany<Entity> {
    let unreferred = |table: &str| {
        Expr::cust(format!(
            "NOT EXISTS (SELECT 1 FROM {table} AS referring WHERE referring.bucket = data_keys.bucket \
             AND referring.data_key_version = data_keys.version)"
        ))
    };
    Entity::delete_many()
        .filter(Column::State.eq("retired"))
        .filter(Column::RetiredAt.lt(before))
        .filter(unreferred("provider_keys"))
        .filter(unreferred("request_results"))
}

fn columns(key: DataKeyRow, now: OffsetDateTime) -> ActiveModel {
    let (bucket, version) = data_key_columns(key.id);
    ActiveModel {
        bucket: Set(bucket),
        version: Set(version),
        wrapped: Set(key.wrapped),
        kms_key_arn: Set(key.kms_key_arn),
        state: Set(if key.active { "active" } else { "retired" }.to_owned()),
        created_at: Set(now),
        retired_at: Set((!key.active).then_some(now)),
    }
}

/// Overwrites a row, as an attacker with write access to the database would.
#[cfg(test)]
pub(crate) async fn overwrite(connection: &impl ConnectionTrait, row: DataKeyRow) {
    let model = ActiveModel {
        created_at: sea_orm::NotSet,
        retired_at: sea_orm::NotSet,
        ..columns(row, OffsetDateTime::UNIX_EPOCH)
    };
    Entity::update(model).exec(connection).await.unwrap();
}
