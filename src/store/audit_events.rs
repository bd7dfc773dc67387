//! The changes, as they are read again.
//!
//! Invariant: read by revision, which is the order in which a workspace's changes were committed: a page that follows
//! another misses nothing that was committed meanwhile, whatever the replicas' clocks say.
//!
//! Absent: writing them (`change`).

use sea_orm::{
    ColumnTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, Statement,
    Value as SqlValue,
    sea_query::{Expr, ExprTrait, Query},
};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store,
    entities::audit_events,
    fault::{corrupt, unavailable},
    moment::Moment,
};
use crate::domain::{
    audit::{RecordedEvent, TimeRange},
    error::Error,
    names::Scope,
    verdict::Verdict,
};

/// How many rows one statement deletes.
const BATCH: u64 = 1000;

#[derive(FromQueryResult)]
struct Row {
    event_id: Uuid,
    at: Moment,
    actor: String,
    on_behalf_of: String,
    action: String,
    provider: Option<String>,
    before: Value,
    after: Value,
    verdict: Option<String>,
    request_id: Option<String>,
    revision: i64,
}

impl Store {
    /// The changes of a workspace, or of the platform, after a revision and within a range, oldest first.
    pub async fn audit_events(
        &self,
        scope: &Scope,
        range: TimeRange,
        after: u64,
        most: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let mut values: Vec<SqlValue> = vec![
            scope.kind().into(),
            scope.workspace_id().into(),
            // Beyond the last one there is nothing.
            i64::try_from(after).unwrap_or(i64::MAX).into(),
        ];
        // SQLite keeps a time as a text, whose `Z` would be later than any digit.
        let sqlite = self.backend() == DatabaseBackend::Sqlite;
        let mut sql =
            "SELECT * FROM audit_events WHERE scope = $1 AND workspace_id = $2 AND revision > $3"
                .to_owned();
        for (bound, compared) in [(range.start, ">="), (range.end, "<")] {
            if let Some(bound) = bound {
                values.push(bound.into());
                let n = values.len();
                sql += &match sqlite {
                    true => format!(" AND rtrim(at, 'Z') {compared} rtrim(${n}, 'Z')"),
                    false => format!(" AND at {compared} ${n}"),
                };
            }
        }
        values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
        sql += &format!(" ORDER BY revision LIMIT ${}", values.len());
        let rows = self.rows(Statement::from_sql_and_values(self.backend(), sql, values));
        let rows = self.observed("list_audit_events", rows).await?;
        rows.iter()
            .map(|row| recorded(Row::from_query_result(row, "").map_err(unavailable)?))
            .collect()
    }

    /// Deletes the changes before `before`, a batch at a time.
    pub async fn purge_audit_events(&self, before: OffsetDateTime) -> Result<(), Error> {
        use audit_events::Column;
        loop {
            let old = Query::select()
                .column(Column::EventId)
                .from(audit_events::Entity)
                .and_where(Expr::col(Column::At).lt(before))
                .limit(BATCH)
                .to_owned();
            let delete =
                audit_events::Entity::delete_many().filter(Column::EventId.in_subquery(old));
            if self.purge(delete).await? < BATCH {
                return Ok(());
            }
        }
    }
}

fn recorded(row: Row) -> Result<RecordedEvent, Error> {
    let text = |value: Value| match value {
        Value::Null => String::new(),
        value => value.to_string(),
    };
    Ok(RecordedEvent {
        event_id: row.event_id,
        at: row.at.0,
        actor: row.actor,
        on_behalf_of: row.on_behalf_of,
        action: row.action,
        provider: row.provider.unwrap_or_default(),
        before: text(row.before),
        after: text(row.after),
        verdict: row.verdict.as_deref().and_then(Verdict::parse),
        request_id: row.request_id.unwrap_or_default(),
        revision: u64::try_from(row.revision).map_err(|_| corrupt("a revision below 0"))?,
    })
}
