//! What `byokd rewrap` reads and writes.
//!
//! Invariants: one rewrap at a time, by a claim in the database that dies with its holder's signs of life; how far it
//! has come stands there, too. Everything is compare-and-set: what changed meanwhile is left as it is. The successor of
//! a data key is there before the key is retired, in one transaction that waits for whoever seals under it.
//!
//! Absent: opening, sealing and wrapping (`ops::rewrap`, `keyring`).

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, EntityTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DataKeyRow, Store,
    data_keys::{lock_active, read_row, stored_row},
    entities::{data_keys, provider_keys, rewraps},
    fault::{corrupt, unavailable},
};
use crate::domain::{
    envelope::DataKeyId,
    error::{Error, Reason},
    names::{ProviderName, Scope, WorkspaceId},
    workspace::Binding,
};

/// A rewrap that gave no sign of life for this long is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// How far a rewrap has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapRun {
    /// Who works on it.
    run_id: Uuid,
    /// `kms_key` or `data_keys`.
    pub mode: String,
    /// When it was begun; one that is taken up keeps it.
    pub started_at: OffsetDateTime,
    /// The bucket that is worked on.
    pub bucket: u16,
    /// The last key that was looked at in it.
    pub after: Option<Uuid>,
    /// How many data keys or records were moved.
    pub moved: u64,
    /// How many could not be.
    pub refused: u64,
}

/// A sealed record and the place that it is bound to.
#[derive(Clone, Debug)]
pub struct SealedRecord {
    /// Whose it is.
    pub scope: Scope,
    /// Which provider it is for.
    pub provider: ProviderName,
    /// The key's identity.
    pub key_id: Uuid,
    /// The key's generation.
    pub generation: u64,
    /// Where it may be sent.
    pub binding: Binding,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl Store {
    /// Claims the one rewrap there may be: a new one, or one of this mode that was left unfinished.
    pub async fn claim_rewrap(&self, mode: &str, now: OffsetDateTime) -> Result<RewrapRun, Error> {
        let transaction = self.transaction().await?;
        let alive_at = self.database_seconds(&transaction).await?;
        let mut run = RewrapRun {
            run_id: Uuid::new_v4(),
            mode: mode.to_owned(),
            started_at: now,
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
        let found =
            rewraps::Entity::find_by_id(1).lock_exclusive().one(&transaction).await.map_err(unavailable)?;
        let found = found.ok_or_else(|| Error::internal("the row of the rewrap is not there"))?;
        if !found.finished {
            let silent = alive_at.saturating_sub(found.alive_at);
            if u64::try_from(silent).unwrap_or(0) < DEAD_AFTER.as_secs() {
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
            if found.mode == mode {
                run = RewrapRun { run_id: run.run_id, ..taken_up(found)? };
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
        let transaction = self.transaction().await?;
        let alive_at = self.database_seconds(&transaction).await?;
        let saved = rewraps::Entity::update_many()
            .set(active(run, alive_at, finished))
            .filter(rewraps::Column::RunId.eq(run.run_id))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        if saved.rows_affected == 0 {
            return Err(Error::new(
                Reason::StoreUnavailable,
                "this rewrap was silent for so long that another one took over; nothing is lost, let that one finish",
            ));
        }
        transaction.commit().await.map_err(unavailable)
    }

    /// Gives a data key another wrapping, unless it was given one meanwhile.
    pub async fn replace_wrapping(&self, before: &DataKeyRow, after: DataKeyRow) -> Result<bool, Error> {
        use data_keys::Column;
        let transaction = self.transaction().await?;
        let replaced = data_keys::Entity::update_many()
            .col_expr(Column::Wrapped, Expr::value(after.wrapped))
            .col_expr(Column::KmsKeyArn, Expr::value(after.kms_key_arn))
            .filter(this(before.id))
            .filter(Column::Wrapped.eq(before.wrapped.clone()))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(replaced.rows_affected == 1)
    }

    /// Inserts a data key that seals from now on, and retires the others of its bucket. False: there already is one
    /// of this version.
    pub async fn succeed_data_key(&self, successor: DataKeyRow, now: OffsetDateTime) -> Result<bool, Error> {
        use data_keys::Column;
        let id = successor.id;
        let transaction = self.transaction().await?;
        let inserted = data_keys::Entity::insert(stored_row(successor, now))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await
            .map_err(unavailable)?;
        if inserted == 0 {
            return Ok(false);
        }
        data_keys::Entity::update_many()
            .col_expr(Column::State, Expr::value("retired"))
            .col_expr(Column::RetiredAt, Expr::value(now))
            .filter(Column::Bucket.eq(i32::from(id.bucket)))
            .filter(Column::Version.ne(i64::from(id.version)))
            .filter(Column::State.eq("active"))
            .exec(&transaction)
            .await
            .map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(true)
    }

    /// How many live keys have a sealed record.
    pub async fn count_records(&self) -> Result<u64, Error> {
        let query = provider_keys::Entity::find()
            .select_only()
            .column_as(provider_keys::Column::KeyId.count(), "records")
            .filter(provider_keys::Column::State.eq("active"));
        let transaction = self.long_transaction().await?;
        let row = transaction.query_one_raw(query.build(self.backend())).await.map_err(unavailable)?;
        let count: i64 = row
            .ok_or_else(|| Error::internal("a count without a row"))?
            .try_get("", "records")
            .map_err(unavailable)?;
        u64::try_from(count).map_err(Error::internal)
    }

    /// The data key that seals the records of a bucket.
    pub async fn active_data_key(&self, bucket: u16) -> Result<Option<DataKeyId>, Error> {
        use data_keys::Column;
        let query = data_keys::Entity::find()
            .filter(Column::Bucket.eq(i32::from(bucket)))
            .filter(Column::State.eq("active"))
            .order_by_desc(Column::Version)
            .limit(1);
        let rows = self.rows(query.build(self.backend())).await?;
        rows.first().map(|row| read_row(row).map(|row| row.id)).transpose()
    }

    /// Records of one bucket that are not sealed under its active data key, in the order of their key ids. A row that
    /// cannot be read is told as such.
    pub async fn records_of_bucket(
        &self,
        bucket: u16,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<(Uuid, Result<SealedRecord, Error>)>, Error> {
        use provider_keys::Column;
        let mut query = records()
            .filter(data_keys::Column::State.ne("active"))
            .filter(Column::Bucket.eq(i32::from(bucket)))
            .order_by_asc(Column::KeyId)
            .limit(limit);
        if let Some(after) = after {
            query = query.filter(Column::KeyId.gt(after));
        }
        let rows = self.rows(query.build(self.backend())).await?;
        rows.iter()
            .map(|row| {
                let key_id = row.try_get("", "key_id").map_err(unavailable)?;
                Ok((key_id, record(row)))
            })
            .collect()
    }

    /// Replaces sealed bytes, all under this data key, each only if it is what was read. Answers how many.
    pub async fn reseal(&self, under: DataKeyId, records: &[(SealedRecord, Vec<u8>)]) -> Result<u64, Error> {
        use provider_keys::Column;
        let transaction = self.transaction().await?;
        if !lock_active(&transaction, under).await? {
            return Err(Error::new(
                Reason::StoreUnavailable,
                "the new data key was retired meanwhile; run it again",
            ));
        }
        let mut count: u64 = 0;
        for (before, sealed) in records {
            let done = provider_keys::Entity::update_many()
                .col_expr(Column::Sealed, Expr::value(sealed.clone()))
                .col_expr(Column::DataKeyVersion, Expr::value(i64::from(under.version)))
                .col_expr(Column::Bucket, Expr::value(i32::from(under.bucket)))
                .filter(Column::Scope.eq(before.scope.kind()))
                .filter(Column::WorkspaceId.eq(before.scope.workspace_id()))
                .filter(Column::KeyId.eq(before.key_id))
                .filter(Column::State.eq("active"))
                .filter(Column::Sealed.eq(before.sealed.clone()))
                .exec(&transaction)
                .await
                .map_err(unavailable)?;
            count = count.saturating_add(done.rows_affected);
        }
        transaction.commit().await.map_err(unavailable)?;
        Ok(count)
    }

    /// The database's clock, which all who claim share.
    async fn database_seconds(&self, connection: &impl ConnectionTrait) -> Result<i64, Error> {
        let sql = match self.backend() {
            DatabaseBackend::Postgres => "SELECT extract(epoch FROM clock_timestamp())::bigint AS seconds",
            _ => "SELECT unixepoch() AS seconds",
        };
        let row = connection
            .query_one_raw(Statement::from_string(self.backend(), sql))
            .await
            .map_err(unavailable)?;
        row.ok_or_else(|| Error::internal("no row"))?.try_get("", "seconds").map_err(unavailable)
    }
}

/// Records of live keys, beside their data keys.
fn records() -> sea_orm::Select<provider_keys::Entity> {
    use data_keys::Column as D;
    use provider_keys::Column as K;
    let same =
        |key: K, data_key: D| Expr::col((provider_keys::Entity, key)).equals((data_keys::Entity, data_key));
    let mut query = provider_keys::Entity::find().filter(K::State.eq("active"));
    let joined = Condition::all().add(same(K::Bucket, D::Bucket)).add(same(K::DataKeyVersion, D::Version));
    QuerySelect::query(&mut query).inner_join(data_keys::Entity, joined);
    query
}

fn this(id: DataKeyId) -> Condition {
    Condition::all()
        .add(data_keys::Column::Bucket.eq(i32::from(id.bucket)))
        .add(data_keys::Column::Version.eq(i64::from(id.version)))
}

/// Only what is needed of a row; its times are not.
fn record(row: &QueryResult) -> Result<SealedRecord, Error> {
    let text = |column: &str| row.try_get::<String>("", column).map_err(unavailable);
    let scope = match text("scope")?.as_str() {
        "platform" => Scope::Platform,
        _ => Scope::Workspace(WorkspaceId::parse(&text("workspace_id")?).map_err(corrupt)?),
    };
    let generation: i64 = row.try_get("", "generation").map_err(unavailable)?;
    let headers: serde_json::Value = row.try_get("", "headers").map_err(unavailable)?;
    let sealed: Option<Vec<u8>> = row.try_get("", "sealed").map_err(unavailable)?;
    Ok(SealedRecord {
        scope,
        provider: ProviderName::parse(&text("provider")?).map_err(corrupt)?,
        key_id: row.try_get("", "key_id").map_err(unavailable)?,
        generation: u64::try_from(generation).map_err(|_| corrupt("a negative generation"))?,
        binding: Binding {
            base_url: text("base_url")?,
            headers: serde_json::from_value(headers).map_err(|_| corrupt("headers of another shape"))?,
        },
        sealed: sealed.ok_or_else(|| corrupt("an active key without its sealed bytes"))?,
    })
}

fn active(run: &RewrapRun, alive_at: i64, finished: bool) -> rewraps::ActiveModel {
    rewraps::ActiveModel {
        id: Set(1),
        mode: Set(run.mode.clone()),
        run_id: Set(run.run_id),
        started_at: Set(run.started_at),
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
        started_at: row.started_at,
        bucket: u16::try_from(row.bucket).map_err(|_| corrupt("a bucket beyond its range"))?,
        after: row.after_key_id,
        moved: counted(row.moved)?,
        refused: counted(row.refused)?,
    })
}
