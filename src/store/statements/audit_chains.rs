//! `audit_chains`: the checkpoints of the audit log's chains.
//!
//! Invariants: a checkpoint only replaces one with fewer lines.
//!
//! Not here: the lines, which are in files that database users cannot reach (`audit`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DeleteMany, EntityTrait, QueryFilter,
    QueryResult, QuerySelect, Statement,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    audit::{Checkpoint, Mac},
    error::Error,
};
use crate::store::{
    db_error::corrupt,
    entities::audit_chains::{ActiveModel, Column, Entity},
    values::{bigint, count, time},
};

const LIST: &str = "SELECT * FROM audit_chains WHERE count > 0 ORDER BY opened_at, chain_id";

/// Reads every chain that has a checkpoint, oldest first.
pub(crate) async fn list(connection: &impl ConnectionTrait) -> Result<Vec<Checkpoint>, Error> {
    let list = Statement::from_string(connection.get_database_backend(), LIST);
    let rows = connection.query_all_raw(list).await?;
    rows.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<Checkpoint, Error> {
    Ok(Checkpoint {
        chain_id: row.try_get("", "chain_id")?,
        opened_at: time(row, "opened_at")?,
        count: count(row.try_get("", "count")?)?,
        head: Mac::try_from(row.try_get::<Vec<u8>>("", "head")?)
            .map_err(|_| corrupt("the head of a chain is no MAC"))?,
        at: time(row, "at")?,
        closed: row.try_get("", "closed")?,
    })
}

/// Writes a checkpoint, unless the stored one has more lines.
pub(crate) async fn write(
    connection: &impl ConnectionTrait,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    let row = ActiveModel {
        count: Set(bigint(checkpoint.count)?),
        head: Set(checkpoint.head.to_vec()),
        at: Set(checkpoint.at),
        closed: Set(checkpoint.closed),
        ..without_checkpoint(checkpoint.chain_id, checkpoint.opened_at)
    };
    let newer = Expr::col((Entity, Column::Count)).lte(Expr::cust("excluded.count"));
    let replace = OnConflict::column(Column::ChainId)
        .update_columns([Column::Count, Column::Head, Column::At, Column::Closed])
        .action_and_where(newer)
        .to_owned();
    Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Records that a chain's process has added a batch of `key_usage`. Returns false if the batch was added before. Locks
/// the chain, whose row is inserted first if it is absent.
pub(crate) async fn begin_batch(
    transaction: &DatabaseTransaction,
    chain_id: Uuid,
    opened_at: OffsetDateTime,
    number: u64,
) -> Result<bool, Error> {
    let number = bigint(number)?;
    Entity::insert(without_checkpoint(chain_id, opened_at))
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await?;
    let last = Entity::find_by_id(chain_id)
        .select_only()
        .column(Column::Counted)
        .lock_exclusive()
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    if last.is_some_and(|last| last >= number) {
        return Ok(false);
    }
    Entity::update_many()
        .col_expr(Column::Counted, Expr::value(number))
        .filter(Column::ChainId.eq(chain_id))
        .exec(transaction)
        .await?;
    Ok(true)
}

fn without_checkpoint(chain_id: Uuid, opened_at: OffsetDateTime) -> ActiveModel {
    ActiveModel {
        chain_id: Set(chain_id),
        opened_at: Set(opened_at),
        count: Set(0),
        head: Set(Vec::new()),
        at: Set(opened_at),
        closed: Set(false),
        counted: Set(0),
    }
}

/// Deletes the chains whose last checkpoint is from before `before`.
pub(crate) fn purge(before: OffsetDateTime) -> DeleteMany<Entity> {
    Entity::delete_many().filter(Column::At.lt(before))
}
