//! Sealed records of active keys, for `byokd rewrap --data-keys`.
//!
//! Invariants: a record is replaced by compare-and-set; one that changed since it was read stays as it is.
//!
//! Not here: opening and sealing (`ops::rewrap`, `keyring`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::domain::{
    envelope::DataKeyId,
    error::Error,
    names::{ProviderName, Scope},
    workspace::Binding,
};
use crate::store::{
    db_error::corrupt,
    entities::{
        data_keys,
        provider_keys::{ActiveModel, Column, Entity},
    },
    values::{count, data_key_columns, json, scope},
};

/// A sealed record with everything that it is bound to.
#[derive(Clone, Debug)]
pub struct SealedRecord {
    /// The key's holder.
    pub scope: Scope,
    /// The key's provider.
    pub provider: ProviderName,
    /// The key's id.
    pub key_id: Uuid,
    /// The key's generation.
    pub generation: u64,
    /// The endpoint and headers that the key may be used with.
    pub binding: Binding,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// Counts the records.
pub(crate) async fn count_all(connection: &impl ConnectionTrait) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::State.eq("active"))
        .count(connection)
        .await
}

/// Whether the data key of any record is not active.
pub(crate) async fn any_retired(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let find = under_retired_data_keys().limit(1).into_query();
    Ok(connection.query_one(&find).await?.is_some())
}

/// Reads the records of a bucket whose data key is not active, by key id. A damaged row has an error for a record.
pub(crate) async fn list_retired(
    connection: &impl ConnectionTrait,
    bucket: u16,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<(Uuid, Result<SealedRecord, Error>)>, Error> {
    let list = under_retired_data_keys()
        .filter(Column::Bucket.eq(i32::from(bucket)))
        .apply_if(after, |query, after| query.filter(Column::KeyId.gt(after)))
        .order_by_asc(Column::KeyId)
        .limit(limit)
        .into_query();
    let rows = connection.query_all(&list).await?;
    rows.iter()
        .map(|row| {
            let key_id = row.try_get("", "key_id")?;
            Ok((key_id, record(row, key_id)))
        })
        .collect()
}

fn under_retired_data_keys() -> Select<Entity> {
    let same = |column: Column, data_key: data_keys::Column| {
        Expr::col((Entity, column)).equals((data_keys::Entity, data_key))
    };
    let data_key = Condition::all()
        .add(same(Column::Bucket, data_keys::Column::Bucket))
        .add(same(Column::DataKeyVersion, data_keys::Column::Version));
    let mut query = Entity::find()
        .filter(Column::State.eq("active"))
        .filter(data_keys::Column::State.ne("active"));
    QuerySelect::query(&mut query).inner_join(data_keys::Entity, data_key);
    query
}

/// Reads a record. Its times are not read, so that a damaged one does no harm.
fn record(row: &QueryResult, key_id: Uuid) -> Result<SealedRecord, Error> {
    let text = |column: &str| row.try_get::<String>("", column);
    Ok(SealedRecord {
        scope: scope(&text("scope")?, &text("workspace_id")?)?,
        provider: ProviderName::parse(&text("provider")?).map_err(corrupt)?,
        key_id,
        generation: count(row.try_get("", "generation")?)?,
        binding: Binding {
            base_url: text("base_url")?,
            headers: json(row.try_get("", "headers")?)?,
        },
        sealed: row
            .try_get::<Option<_>>("", "sealed")?
            .ok_or_else(|| corrupt("an active key without its sealed bytes"))?,
    })
}

/// Replaces the sealed bytes of a record, unless it changed since it was read. Returns the number of rows: 0 or 1.
pub(crate) async fn replace(
    connection: &impl ConnectionTrait,
    before: &SealedRecord,
    sealed: &[u8],
    data_key: DataKeyId,
) -> Result<u64, DbErr> {
    let (bucket, version) = data_key_columns(data_key);
    let resealed = ActiveModel {
        sealed: Set(Some(sealed.to_vec())),
        bucket: Set(Some(bucket)),
        data_key_version: Set(Some(version)),
        ..Default::default()
    };
    let replaced = Entity::update_many()
        .set(resealed)
        .filter(Column::Scope.eq(before.scope.kind()))
        .filter(Column::WorkspaceId.eq(before.scope.workspace_id()))
        .filter(Column::KeyId.eq(before.key_id))
        .filter(Column::State.eq("active"))
        .filter(Column::Sealed.eq(before.sealed.clone()))
        .exec(connection)
        .await?;
    Ok(replaced.rows_affected)
}
