//! How often which caller was handed which key.
//!
//! Invariant: a batch is added once: its process numbers its batches, and the number is written with them. So a batch whose
//! commit was in doubt can be sent again.
//!
//! Absent: counting (`audit`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement,
    Value as SqlValue,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store,
    audit_chains::unknown_chain,
    entities::{audit_chains, key_usage},
    fault::{corrupt, unavailable},
    moment::Moment,
    transaction::{LONG, limited},
};
use crate::domain::{
    audit::{KeyUsage, TimeRange},
    error::Error,
    names::WorkspaceId,
};

/// How many rows one statement writes.
const BATCH: usize = 500;

/// The last row of a page: hour, provider, generation, caller.
pub type UsagePlace = (OffsetDateTime, String, u64, String);

#[derive(FromQueryResult)]
struct Row {
    hour: Moment,
    provider: String,
    generation: i64,
    caller: String,
    handed_out: i64,
}

impl Store {
    /// Adds a batch of counts, unless it was added before.
    pub async fn add_key_usage(
        &self,
        chain_id: Uuid,
        opened_at: OffsetDateTime,
        number: u64,
        rows: &[KeyUsage],
    ) -> Result<(), Error> {
        limited(
            "adding to the counts",
            LONG,
            self.add(chain_id, opened_at, number, rows),
        )
        .await
    }

    async fn add(
        &self,
        chain_id: Uuid,
        opened_at: OffsetDateTime,
        number: u64,
        rows: &[KeyUsage],
    ) -> Result<(), Error> {
        use audit_chains::Column as Chain;
        use key_usage::Column;
        let number = i64::try_from(number).map_err(Error::internal)?;
        let transaction = self.long_transaction().await?;
        audit_chains::Entity::insert(unknown_chain(chain_id, opened_at))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await
            .map_err(unavailable)?;
        let counted = audit_chains::Entity::find_by_id(chain_id)
            .select_only()
            .column(Chain::Counted)
            .lock_exclusive()
            .into_tuple::<i64>()
            .one(&transaction)
            .await
            .map_err(unavailable)?;
        if counted.is_some_and(|counted| counted >= number) {
            return transaction.rollback().await.map_err(unavailable);
        }
        audit_chains::Entity::update_many()
            .col_expr(Chain::Counted, Expr::value(number))
            .filter(Chain::ChainId.eq(chain_id))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        for batch in rows.chunks(BATCH) {
            let models = batch.iter().map(model).collect::<Result<Vec<_>, Error>>()?;
            let sum = Expr::col((key_usage::Entity, Column::HandedOut))
                .add(Expr::cust("excluded.handed_out"));
            let key = [
                Column::WorkspaceId,
                Column::Hour,
                Column::Provider,
                Column::Generation,
                Column::Caller,
            ];
            key_usage::Entity::insert_many(models)
                .on_conflict(
                    OnConflict::columns(key)
                        .value(Column::HandedOut, sum)
                        .to_owned(),
                )
                .exec_without_returning(&transaction)
                .await
                .map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    /// The counts of a workspace after a place and within a range, oldest hour first.
    pub async fn key_usage(
        &self,
        workspace: &WorkspaceId,
        range: TimeRange,
        after: Option<UsagePlace>,
        most: usize,
    ) -> Result<Vec<KeyUsage>, Error> {
        let mut values: Vec<SqlValue> = vec![workspace.as_str().into()];
        let mut sql = "SELECT * FROM key_usage WHERE workspace_id = $1".to_owned();
        for (bound, compared) in [(range.start, ">="), (range.end, "<")] {
            if let Some(bound) = bound {
                values.push(bound.into());
                sql += &format!(" AND hour {compared} ${}", values.len());
            }
        }
        if let Some((hour, provider, generation, caller)) = after {
            let first = values.len();
            let generation = i64::try_from(generation).unwrap_or(i64::MAX);
            values.extend([
                hour.into(),
                provider.into(),
                generation.into(),
                caller.into(),
            ]);
            let place: Vec<String> = (1..=4)
                .map(|n| format!("${}", first.saturating_add(n)))
                .collect();
            sql += &format!(
                " AND (hour, provider, generation, caller) > ({})",
                place.join(", ")
            );
        }
        values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
        sql += &format!(
            " ORDER BY hour, provider, generation, caller LIMIT ${}",
            values.len()
        );
        let rows = self.rows(Statement::from_sql_and_values(self.backend(), sql, values));
        let rows = self.observed("list_key_usage", rows).await?;
        rows.iter()
            .map(|row| {
                usage(
                    workspace,
                    Row::from_query_result(row, "").map_err(unavailable)?,
                )
            })
            .collect()
    }

    /// Deletes the hours before `before`, one at a time.
    pub async fn purge_key_usage(&self, before: OffsetDateTime) -> Result<(), Error> {
        use key_usage::Column;
        loop {
            let oldest = Query::select()
                .expr(Expr::col(Column::Hour).min())
                .from(key_usage::Entity)
                .to_owned();
            let delete = key_usage::Entity::delete_many()
                .filter(Column::Hour.lt(before))
                .filter(Column::Hour.in_subquery(oldest));
            if self.purge(delete).await? == 0 {
                return Ok(());
            }
        }
    }
}

fn model(row: &KeyUsage) -> Result<key_usage::ActiveModel, Error> {
    Ok(key_usage::ActiveModel {
        workspace_id: Set(row.workspace.to_string()),
        hour: Set(row.hour),
        provider: Set(row.provider.clone()),
        generation: Set(i64::try_from(row.generation).map_err(Error::internal)?),
        caller: Set(row.caller.clone()),
        handed_out: Set(i64::try_from(row.handed_out).map_err(Error::internal)?),
    })
}

fn usage(workspace: &WorkspaceId, row: Row) -> Result<KeyUsage, Error> {
    let count = |count: i64| u64::try_from(count).map_err(|_| corrupt("a count below 0"));
    Ok(KeyUsage {
        workspace: workspace.clone(),
        provider: row.provider,
        generation: count(row.generation)?,
        caller: row.caller,
        hour: row.hour.0,
        handed_out: count(row.handed_out)?,
    })
}
