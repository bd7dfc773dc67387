//! `key_usage`: how often each caller was handed a workspace's key, by the hour.
//!
//! Invariants: a batch is added once. Its process numbers its batches, and `audit_chains::begin_batch` records the
//! number in the same transaction, so a batch whose commit was in doubt can be sent again.
//!
//! Not here: counting (`audit`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, Iterable, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;

use crate::domain::{
    audit::{KeyUsage, TimeRange},
    error::Error,
    names::WorkspaceId,
};
use crate::store::{
    entities::key_usage::{ActiveModel, Column, Entity, PrimaryKey},
    values::{bigint, count, time},
};

/// The number of rows that one statement writes.
const INSERT_BATCH: usize = 500;

/// A place in the list: hour, provider, generation, caller.
pub type UsagePlace = (OffsetDateTime, String, u64, String);

/// Adds counts to the stored ones.
pub(crate) async fn add(connection: &impl ConnectionTrait, rows: &[KeyUsage]) -> Result<(), Error> {
    let sum = Expr::col((Entity, Column::HandedOut)).add(Expr::cust("excluded.handed_out"));
    let add = OnConflict::columns(PrimaryKey::iter())
        .value(Column::HandedOut, sum)
        .to_owned();
    for batch in rows.chunks(INSERT_BATCH) {
        let batch: Result<Vec<_>, Error> = batch.iter().map(columns).collect();
        Entity::insert_many(batch?)
            .on_conflict(add.clone())
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

fn columns(usage: &KeyUsage) -> Result<ActiveModel, Error> {
    Ok(ActiveModel {
        workspace_id: Set(usage.workspace.to_string()),
        hour: Set(usage.hour),
        provider: Set(usage.provider.clone()),
        generation: Set(bigint(usage.generation)?),
        caller: Set(usage.caller.clone()),
        handed_out: Set(bigint(usage.handed_out)?),
    })
}

/// Reads the counts of a workspace after a place and within a range, oldest hour first.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    range: TimeRange,
    after: Option<UsagePlace>,
    limit: usize,
) -> Result<Vec<KeyUsage>, Error> {
    let order = [
        Column::Hour,
        Column::Provider,
        Column::Generation,
        Column::Caller,
    ];
    let beyond = |(hour, provider, generation, caller): UsagePlace| {
        let generation = i64::try_from(generation).unwrap_or(i64::MAX);
        let place = [
            Expr::val(hour),
            Expr::val(provider),
            Expr::val(generation),
            Expr::val(caller),
        ];
        Expr::tuple(order.map(Expr::col)).gt(Expr::tuple(place))
    };
    let list = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.as_str()))
        .apply_if(range.start, |query, start| {
            query.filter(Column::Hour.gte(start))
        })
        .apply_if(range.end, |query, end| query.filter(Column::Hour.lt(end)))
        .apply_if(after, |query, place| query.filter(beyond(place)))
        .order_by_asc(Column::Hour)
        .order_by_asc(Column::Provider)
        .order_by_asc(Column::Generation)
        .order_by_asc(Column::Caller)
        .limit(u64::try_from(limit).ok())
        .into_query();
    let rows = connection.query_all(&list).await?;
    rows.iter().map(|row| read(workspace, row)).collect()
}

fn read(workspace: &WorkspaceId, row: &QueryResult) -> Result<KeyUsage, Error> {
    Ok(KeyUsage {
        workspace: workspace.clone(),
        provider: row.try_get("", "provider")?,
        generation: count(row.try_get("", "generation")?)?,
        caller: row.try_get("", "caller")?,
        hour: time(row, "hour")?,
        handed_out: count(row.try_get("", "handed_out")?)?,
    })
}

/// Deletes the oldest hour, if it is before `before`.
pub(crate) fn purge_hour(before: OffsetDateTime) -> DeleteMany<Entity> {
    Entity::delete_many()
        .filter(Column::Hour.lt(before))
        .filter(Expr::cust("hour = (SELECT MIN(hour) FROM key_usage)"))
}
