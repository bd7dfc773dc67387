//! The one rewrap there may be: who works on it, and how far it has come.
//!
//! Invariants: a claim dies with its holder's signs of life, which are told by the database's clock. What was left
//! unfinished is taken up for a day at most, and only towards the same KMS key; the cursor is a convenience and no proof,
//! so that whoever takes it up checks the outcome.
//!
//! Absent: what is moved (`rotation`).

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, QueryFilter, QuerySelect,
    Statement,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    Store,
    entities::rewraps,
    fault::{corrupt, unavailable},
    transaction::limited,
};
use crate::domain::error::{Error, Reason};

/// A rewrap that gave no sign of life for this long is taken for dead. It may live and find that another one took over.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// A run that was left for longer is not taken up: what it moved may have become what is to be moved.
const RESUMED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a rewrap has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapRun {
    /// Who works on it.
    run_id: Uuid,
    /// `kms_key` or `data_keys`.
    pub mode: String,
    /// The KMS key that everything is moved to.
    pub kms_key_arn: String,
    /// The bucket that is worked on.
    pub bucket: u16,
    /// The last key that was looked at in it.
    pub after: Option<Uuid>,
    /// How many data keys or records were moved.
    pub moved: u64,
    /// How many could not be.
    pub refused: u64,
}

impl Store {
    /// Claims the one rewrap there may be: a new one, or, unless it is to begin anew, one of this mode to this KMS key
    /// that was left unfinished a short while ago.
    pub async fn claim_rewrap(
        &self,
        mode: &str,
        kms_key_arn: &str,
        anew: bool,
    ) -> Result<RewrapRun, Error> {
        limited(
            "claiming the rewrap",
            self.step_limit(),
            self.claim(mode, kms_key_arn, anew),
        )
        .await
    }

    async fn claim(&self, mode: &str, kms_key_arn: &str, anew: bool) -> Result<RewrapRun, Error> {
        let transaction = self.transaction().await?;
        let alive_at = self.database_seconds(&transaction).await?;
        let mut run = RewrapRun {
            run_id: Uuid::new_v4(),
            mode: mode.to_owned(),
            kms_key_arn: kms_key_arn.to_owned(),
            bucket: 0,
            after: None,
            moved: 0,
            refused: 0,
        };
        // The row is made finished, so that two who make it at once still have to agree on who claims it.
        rewraps::Entity::insert(active(&run, alive_at, true))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await
            .map_err(unavailable)?;
        let found = rewraps::Entity::find_by_id(1)
            .lock_exclusive()
            .one(&transaction)
            .await
            .map_err(unavailable)?;
        let found = found.ok_or_else(|| Error::internal("the row of the rewrap is not there"))?;
        if !found.finished {
            let silent = u64::try_from(alive_at.saturating_sub(found.alive_at)).unwrap_or(0);
            if silent < DEAD_AFTER.as_secs() {
                return Err(Error::new(
                    Reason::StoreUnavailable,
                    format!(
                        "another rewrap is running: its last sign of life was {silent} s ago; if it was killed, \
                         try again in {} s",
                        DEAD_AFTER.as_secs()
                    ),
                )
                .retry_after(DEAD_AFTER));
            }
            let same = found.mode == mode && found.kms_key_arn == kms_key_arn;
            if same && !anew && silent < RESUMED_FOR.as_secs() {
                run = RewrapRun {
                    run_id: run.run_id,
                    ..taken_up(found)?
                };
            }
        }
        rewraps::Entity::update_many()
            .set(active(&run, alive_at, false))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(run)
    }

    /// Writes down how far the rewrap has come, which is its sign of life, too.
    pub async fn save_rewrap(&self, run: &RewrapRun, finished: bool) -> Result<(), Error> {
        limited("saving how far the rewrap has come", self.step_limit(), async {
        let transaction = self.transaction().await?;
        let alive_at = self.database_seconds(&transaction).await?;
        let saved = rewraps::Entity::update_many()
            .set(active(run, alive_at, finished))
            .filter(rewraps::Column::RunId.eq(run.run_id))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        if saved.rows_affected == 0 {
            // No waiting mends it.
            return Err(Error::new(
                Reason::RevisionMismatch,
                "this rewrap was silent for so long that another one took over; nothing is lost, let that one finish",
            ));
        }
        transaction.commit().await.map_err(unavailable)
        })
        .await
    }

    /// Stops working on it: the next one need not wait.
    pub async fn release_rewrap(&self, run: &RewrapRun) -> Result<(), Error> {
        limited("releasing the rewrap", self.step_limit(), async {
            let transaction = self.transaction().await?;
            let alive_at = self.database_seconds(&transaction).await?;
            let long_ago =
                alive_at.saturating_sub(i64::try_from(DEAD_AFTER.as_secs()).unwrap_or(0));
            rewraps::Entity::update_many()
                .col_expr(rewraps::Column::AliveAt, Expr::value(long_ago))
                .filter(rewraps::Column::RunId.eq(run.run_id))
                .exec(&transaction)
                .await
                .map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)
        })
        .await
    }

    /// The database's clock, which all who claim share.
    async fn database_seconds(&self, connection: &impl ConnectionTrait) -> Result<i64, Error> {
        let sql = match self.backend() {
            DatabaseBackend::Postgres => {
                "SELECT extract(epoch FROM clock_timestamp())::bigint AS seconds"
            }
            _ => "SELECT unixepoch() AS seconds",
        };
        let row = connection
            .query_one_raw(Statement::from_string(self.backend(), sql))
            .await
            .map_err(unavailable)?;
        row.ok_or_else(|| Error::internal("no row"))?
            .try_get("", "seconds")
            .map_err(unavailable)
    }
}

fn active(run: &RewrapRun, alive_at: i64, finished: bool) -> rewraps::ActiveModel {
    rewraps::ActiveModel {
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

fn taken_up(row: rewraps::Model) -> Result<RewrapRun, Error> {
    let counted = |count: i64| u64::try_from(count).map_err(|_| corrupt("a negative count"));
    Ok(RewrapRun {
        run_id: row.run_id,
        mode: row.mode,
        kms_key_arn: row.kms_key_arn,
        bucket: u16::try_from(row.bucket).map_err(|_| corrupt("a bucket beyond its range"))?,
        after: row.after_key_id,
        moved: counted(row.moved)?,
        refused: counted(row.refused)?,
    })
}
