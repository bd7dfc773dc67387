//! `rewraps`: the one row of `byokd rewrap`, with its owner and its progress.
//!
//! Invariants:
//! - A claim ends when its owner sends no heartbeat. Heartbeats use the database's clock, which all processes share.
//! - An unfinished run is resumed for a day at most, and only towards the same KMS key.
//! - The progress is a hint. The process that resumes a run verifies the outcome.
//!
//! Not here: what a rewrap moves (`data_keys`, `sealed_records`).

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseTransaction,
    EntityTrait, QueryFilter, QuerySelect, Statement, sea_query::OnConflict,
};
use uuid::Uuid;

use crate::domain::error::{Error, Reason};
use crate::store::{
    entities::rewraps::{ActiveModel, Column, Entity, Model},
    values::{bucket, count},
};

/// A run without a heartbeat for this long counts as dead. If it is alive, its next heartbeat fails.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// An older run is not resumed, because what it moved may have to be moved again by now.
const RESUMABLE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A run of `byokd rewrap` and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapRun {
    run_id: Uuid,
    /// `kms_key` or `data_keys`.
    pub mode: String,
    /// The KMS key that everything is moved to.
    pub kms_key_arn: String,
    /// The bucket in progress.
    pub bucket: u16,
    /// The last key that was processed in that bucket.
    pub after: Option<Uuid>,
    /// The number of data keys or records that were moved.
    pub moved: u64,
    /// The number of data keys or records that could not be moved.
    pub refused: u64,
}

/// Claims the row for a new run, or for an unfinished one of the same mode and KMS key unless `restart`.
pub(crate) async fn claim(
    transaction: &DatabaseTransaction,
    mode: &str,
    kms_key_arn: &str,
    restart: bool,
) -> Result<RewrapRun, Error> {
    let now = database_seconds(transaction).await?;
    let mut run = RewrapRun {
        run_id: Uuid::new_v4(),
        mode: mode.to_owned(),
        kms_key_arn: kms_key_arn.to_owned(),
        bucket: 0,
        after: None,
        moved: 0,
        refused: 0,
    };
    // The row is inserted as finished, so that of two processes that insert it at once only one claims it.
    Entity::insert(columns(&run, now, true))
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await?;
    let last = Entity::find_by_id(1)
        .lock_exclusive()
        .one(transaction)
        .await?
        .ok_or_else(|| Error::internal("the row of the rewrap is missing"))?;
    if !last.finished {
        let silent = u64::try_from(now.saturating_sub(last.alive_at)).unwrap_or(0);
        if silent < DEAD_AFTER.as_secs() {
            return Err(already_running(silent));
        }
        let same = last.mode == mode && last.kms_key_arn == kms_key_arn;
        if same && !restart && silent < RESUMABLE_FOR.as_secs() {
            run = resumed(last, run.run_id)?;
        }
    }
    Entity::update_many()
        .set(columns(&run, now, false))
        .exec(transaction)
        .await?;
    Ok(run)
}

fn already_running(silent: u64) -> Error {
    let dead_after = DEAD_AFTER.as_secs();
    Error::new(
        Reason::StoreUnavailable,
        format!(
            "another rewrap is running: its last sign of life was {silent} s ago; if it was killed, try again in \
             {dead_after} s"
        ),
    )
    .retry_after(DEAD_AFTER)
}

/// Saves the progress of a run, which is its heartbeat.
pub(crate) async fn save(
    connection: &impl ConnectionTrait,
    run: &RewrapRun,
    finished: bool,
) -> Result<(), Error> {
    let now = database_seconds(connection).await?;
    let saved = Entity::update_many()
        .set(columns(run, now, finished))
        .filter(Column::RunId.eq(run.run_id))
        .exec(connection)
        .await?;
    match saved.rows_affected {
        // Not `STORE_UNAVAILABLE`: a retry does not help.
        0 => Err(Error::new(
            Reason::RevisionMismatch,
            "another rewrap took over, because this one sent no heartbeat for too long; nothing is lost, let the other one \
             finish",
        )),
        _ => Ok(()),
    }
}

/// Backdates the last heartbeat of a run, so that the next claim succeeds at once.
pub(crate) async fn release(
    connection: &impl ConnectionTrait,
    run: &RewrapRun,
) -> Result<(), Error> {
    let now = database_seconds(connection).await?;
    let dead_after = i64::try_from(DEAD_AFTER.as_secs()).unwrap_or(0);
    let backdated = ActiveModel {
        alive_at: Set(now.saturating_sub(dead_after)),
        ..Default::default()
    };
    Entity::update_many()
        .set(backdated)
        .filter(Column::RunId.eq(run.run_id))
        .exec(connection)
        .await?;
    Ok(())
}

/// The database's clock, in seconds since 1970.
async fn database_seconds(connection: &impl ConnectionTrait) -> Result<i64, Error> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DatabaseBackend::Postgres => {
            "SELECT extract(epoch FROM clock_timestamp())::bigint AS seconds"
        }
        _ => "SELECT unixepoch() AS seconds",
    };
    let row = connection
        .query_one_raw(Statement::from_string(backend, sql))
        .await?
        .ok_or_else(|| Error::internal("the database's clock returned no row"))?;
    Ok(row.try_get("", "seconds")?)
}

fn columns(run: &RewrapRun, alive_at: i64, finished: bool) -> ActiveModel {
    ActiveModel {
        id: Set(1),
        mode: Set(run.mode.clone()),
        kms_key_arn: Set(run.kms_key_arn.clone()),
        run_id: Set(run.run_id),
        alive_at: Set(alive_at),
        bucket: Set(i32::from(run.bucket)),
        after_key_id: Set(run.after),
        moved: Set(i64::try_from(run.moved).unwrap_or(i64::MAX)),
        refused: Set(i64::try_from(run.refused).unwrap_or(i64::MAX)),
        finished: Set(finished),
    }
}

fn resumed(row: Model, run_id: Uuid) -> Result<RewrapRun, Error> {
    Ok(RewrapRun {
        run_id,
        mode: row.mode,
        kms_key_arn: row.kms_key_arn,
        bucket: bucket(row.bucket)?,
        after: row.after_key_id,
        moved: count(row.moved)?,
        refused: count(row.refused)?,
    })
}
