//! What `byokd rewrap` reads and writes.
//!
//! Invariants: everything is compare-and-set: what changed meanwhile is left as it is. The successor of
//! a data key is there before the key is retired, in one transaction that waits for whoever seals under it.
//!
//! Absent: opening, sealing and wrapping (`ops::rewrap`, `keyring`).

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    DataKeyRow, Store,
    data_keys::{lock_active, read_row, stored_row},
    entities::{data_keys, provider_keys},
    fault::{corrupt, unavailable},
    transaction::{LONG, limited},
};
use crate::domain::{
    envelope::DataKeyId,
    error::{Error, Reason},
    names::{ProviderName, Scope, WorkspaceId},
    workspace::Binding,
};

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
    /// Gives a data key another wrapping, unless it was given one meanwhile.
    pub async fn replace_wrapping(
        &self,
        before: &DataKeyRow,
        after: DataKeyRow,
    ) -> Result<bool, Error> {
        use data_keys::Column;
        limited("replacing a wrapping", self.step_limit(), async {
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
        })
        .await
    }

    /// Inserts a data key that seals from now on, and retires the others of its bucket. False: there already is one
    /// of this version.
    pub async fn succeed_data_key(
        &self,
        successor: DataKeyRow,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        use data_keys::Column;
        let id = successor.id;
        limited("replacing a data key", self.step_limit(), async {
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
        })
        .await
    }

    /// How many live keys have a sealed record.
    pub async fn count_records(&self) -> Result<u64, Error> {
        limited("counting the records", LONG, async {
            let query = provider_keys::Entity::find()
                .select_only()
                .column_as(provider_keys::Column::KeyId.count(), "records")
                .filter(provider_keys::Column::State.eq("active"));
            let transaction = self.long_transaction().await?;
            let row = transaction
                .query_one_raw(query.build(self.backend()))
                .await
                .map_err(unavailable)?;
            let count: i64 = row
                .ok_or_else(|| Error::internal("a count without a row"))?
                .try_get("", "records")
                .map_err(unavailable)?;
            u64::try_from(count).map_err(Error::internal)
        })
        .await
    }

    /// Whether a record of a live key is sealed under a data key that is not active.
    pub async fn has_records_to_reseal(&self) -> Result<bool, Error> {
        let query = records()
            .filter(data_keys::Column::State.ne("active"))
            .limit(1);
        Ok(!self.rows(query.build(self.backend())).await?.is_empty())
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
        rows.first()
            .map(|row| read_row(row).map(|row| row.id))
            .transpose()
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
    pub async fn reseal(
        &self,
        under: DataKeyId,
        records: &[(SealedRecord, Vec<u8>)],
    ) -> Result<u64, Error> {
        use provider_keys::Column;
        limited("re-sealing records", self.step_limit(), async {
            let transaction = self.transaction().await?;
            if lock_active(&transaction, under).await?.is_none() {
                return Err(Error::new(
                    Reason::RevisionMismatch,
                    "the new data key was retired meanwhile; run it again",
                ));
            }
            let mut count: u64 = 0;
            for (before, sealed) in records {
                let done = provider_keys::Entity::update_many()
                    .col_expr(Column::Sealed, Expr::value(sealed.clone()))
                    .col_expr(
                        Column::DataKeyVersion,
                        Expr::value(i64::from(under.version)),
                    )
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
        })
        .await
    }
}

/// Records of live keys, beside their data keys.
fn records() -> sea_orm::Select<provider_keys::Entity> {
    use data_keys::Column as D;
    use provider_keys::Column as K;
    let same = |key: K, data_key: D| {
        Expr::col((provider_keys::Entity, key)).equals((data_keys::Entity, data_key))
    };
    let mut query = provider_keys::Entity::find().filter(K::State.eq("active"));
    let joined = Condition::all()
        .add(same(K::Bucket, D::Bucket))
        .add(same(K::DataKeyVersion, D::Version));
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
            headers: serde_json::from_value(headers)
                .map_err(|_| corrupt("headers of another shape"))?,
        },
        sealed: sealed.ok_or_else(|| corrupt("an active key without its sealed bytes"))?,
    })
}
