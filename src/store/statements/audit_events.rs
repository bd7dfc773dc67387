//! `audit_events`: the changes of workspaces and the platform.
//!
//! Invariants: events are read by revision, which is commit order. A later page therefore misses no event that was
//! committed in the meantime, whatever the clocks of the replicas say.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseBackend, DbErr, DeleteMany, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, Query},
};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    audit::{AuditEvent, RecordedEvent, TimeRange},
    error::Error,
    names::Scope,
    verdict::Verdict,
};
use crate::store::{
    entities::audit_events::{ActiveModel, Column, Entity},
    values::{bigint, count, scope_columns, time},
};

/// The number of events that one purge statement deletes.
pub(crate) const PURGE_BATCH: u64 = 1000;

/// Inserts the event of a change.
pub(crate) async fn insert(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    event: AuditEvent,
    revision: u64,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (kind, workspace_id) = scope_columns(scope);
    let row = ActiveModel {
        event_id: Set(Uuid::now_v7()),
        scope: Set(kind),
        workspace_id: Set(workspace_id),
        at: Set(now),
        actor: Set(event.actor),
        on_behalf_of: Set(event.on_behalf_of.as_str().to_owned()),
        action: Set(event.action.as_str().to_owned()),
        provider: Set(event.provider.map(|name| name.to_string())),
        before: Set(event.before),
        after: Set(event.after),
        verdict: Set(event.verdict.map(|verdict| verdict.as_str().to_owned())),
        request_id: Set(event.request_id.map(|id| id.to_string())),
        revision: Set(bigint(revision)?),
    };
    Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Reads the events of a scope after a revision and within a range, oldest first.
pub(crate) async fn list(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    range: TimeRange,
    after: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, Error> {
    let backend = connection.get_database_backend();
    let bound = |operator: &str, bound: OffsetDateTime| match backend {
        // SQLite stores a time as text with a final `Z`, which would sort after any digit.
        DatabaseBackend::Sqlite => {
            Expr::cust_with_values(format!("rtrim(at, 'Z') {operator} rtrim(?, 'Z')"), [bound])
        }
        _ => Expr::cust_with_values(format!("at {operator} $1"), [bound]),
    };
    let list = Entity::find()
        .filter(Column::Scope.eq(scope.kind()))
        .filter(Column::WorkspaceId.eq(scope.workspace_id()))
        .filter(Column::Revision.gt(i64::try_from(after).unwrap_or(i64::MAX)))
        .apply_if(range.start, |query, start| query.filter(bound(">=", start)))
        .apply_if(range.end, |query, end| query.filter(bound("<", end)))
        .order_by_asc(Column::Revision)
        .limit(u64::try_from(limit).ok())
        .into_query();
    let rows = connection.query_all(&list).await?;
    rows.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<RecordedEvent, Error> {
    let text =
        |column: &str| Ok::<_, DbErr>(row.try_get::<Option<_>>("", column)?.unwrap_or_default());
    let json = |column: &str| match row.try_get("", column)? {
        Value::Null => Ok::<_, DbErr>(String::new()),
        value => Ok(value.to_string()),
    };
    Ok(RecordedEvent {
        event_id: row.try_get("", "event_id")?,
        at: time(row, "at")?,
        actor: row.try_get("", "actor")?,
        on_behalf_of: row.try_get("", "on_behalf_of")?,
        action: row.try_get("", "action")?,
        provider: text("provider")?,
        before: json("before")?,
        after: json("after")?,
        verdict: Verdict::parse(&text("verdict")?),
        request_id: text("request_id")?,
        revision: count(row.try_get("", "revision")?)?,
    })
}

/// Deletes a batch of the events before `before`.
pub(crate) fn purge(before: OffsetDateTime) -> DeleteMany<Entity> {
    let batch = Query::select()
        .column(Column::EventId)
        .from(Entity)
        .and_where(Expr::col(Column::At).lt(before))
        .limit(PURGE_BATCH)
        .to_owned();
    Entity::delete_many().filter(Column::EventId.in_subquery(batch))
}
