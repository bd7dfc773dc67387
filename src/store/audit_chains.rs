//! How far the chains of the audit stream have come.
//!
//! Invariant: a checkpoint only ever replaces one of fewer lines.
//!
//! Absent: the lines. They are in files, out of reach of who can write here.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, Statement,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store,
    entities::audit_chains,
    fault::{corrupt, unavailable},
    moment::Moment,
    transaction::limited,
};
use crate::domain::{
    audit::{Checkpoint, Mac},
    error::Error,
};

#[derive(FromQueryResult)]
struct Row {
    chain_id: Uuid,
    opened_at: Moment,
    count: i64,
    head: Vec<u8>,
    at: Moment,
    closed: bool,
}

/// The row of a chain of which nothing is known yet.
pub(super) fn unknown_chain(
    chain_id: Uuid,
    opened_at: OffsetDateTime,
) -> audit_chains::ActiveModel {
    audit_chains::ActiveModel {
        chain_id: Set(chain_id),
        opened_at: Set(opened_at),
        count: Set(0),
        head: Set(Vec::new()),
        at: Set(opened_at),
        closed: Set(false),
        counted: Set(0),
    }
}

impl Store {
    /// Remembers how far a chain has come.
    pub async fn write_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        use audit_chains::Column;
        let row = audit_chains::ActiveModel {
            count: Set(i64::try_from(checkpoint.count).map_err(Error::internal)?),
            head: Set(checkpoint.head.to_vec()),
            at: Set(checkpoint.at),
            closed: Set(checkpoint.closed),
            ..unknown_chain(checkpoint.chain_id, checkpoint.opened_at)
        };
        let newer =
            Expr::col((audit_chains::Entity, Column::Count)).lte(Expr::cust("excluded.count"));
        let replace = OnConflict::column(Column::ChainId)
            .update_columns([Column::Count, Column::Head, Column::At, Column::Closed])
            .action_and_where(newer)
            .to_owned();
        limited("a checkpoint", self.step_limit(), async {
            let transaction = self.transaction().await?;
            audit_chains::Entity::insert(row)
                .on_conflict(replace)
                .exec_without_returning(&transaction)
                .await
                .map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)
        })
        .await
    }

    /// Every chain of which something is known, oldest first.
    pub async fn audit_chains(&self) -> Result<Vec<Checkpoint>, Error> {
        let sql = "SELECT * FROM audit_chains WHERE count > 0 ORDER BY opened_at, chain_id";
        let rows = self
            .rows(Statement::from_string(self.backend(), sql))
            .await?;
        rows.iter()
            .map(|row| checkpoint(Row::from_query_result(row, "").map_err(unavailable)?))
            .collect()
    }

    /// Forgets the chains whose last checkpoint is from before `before`.
    pub async fn purge_audit_chains(&self, before: OffsetDateTime) -> Result<(), Error> {
        let old = audit_chains::Entity::delete_many().filter(audit_chains::Column::At.lt(before));
        self.purge(old).await.map(|_| ())
    }
}

fn checkpoint(row: Row) -> Result<Checkpoint, Error> {
    Ok(Checkpoint {
        chain_id: row.chain_id,
        opened_at: row.opened_at.0,
        count: u64::try_from(row.count).map_err(|_| corrupt("a count below 0"))?,
        head: Mac::try_from(row.head).map_err(|_| corrupt("the head of a chain is no MAC"))?,
        at: row.at.0,
        closed: row.closed,
    })
}
