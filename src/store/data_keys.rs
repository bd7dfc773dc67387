//! The wrapped data keys.
//!
//! Invariants: a data key is inserted if it is absent, in a transaction of its own that is committed before anything
//! is sealed under it; of two that race, the row tells who won.
//!
//! Absent: wrapping and unwrapping (`keyring`, `kms`).

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter,
    QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use time::OffsetDateTime;

use super::{
    Store,
    entities::data_keys,
    fault::{corrupt, unavailable},
    transaction::limited,
};
use crate::domain::{envelope::DataKeyId, error::Error};

/// A data key as it is stored.
#[derive(Clone, Debug)]
pub struct DataKeyRow {
    /// Which one.
    pub id: DataKeyId,
    /// As the KMS wrapped it.
    pub wrapped: Vec<u8>,
    /// The KMS key, as the KMS named it.
    pub kms_key_arn: String,
    /// Whether new records may be sealed under it.
    pub active: bool,
}

impl Store {
    /// Every data key; a row that is none is left out, since it is nobody's.
    pub async fn data_keys(&self) -> Result<Vec<DataKeyRow>, Error> {
        let rows = self.rows(data_keys::Entity::find().build(self.backend()));
        let rows = self.observed("load_data_keys", rows).await?;
        Ok(rows
            .iter()
            .filter_map(|row| read_row(row).map_err(damaged).ok())
            .collect())
    }

    /// One data key.
    pub async fn data_key(&self, id: DataKeyId) -> Result<Option<DataKeyRow>, Error> {
        let query = data_keys::Entity::find_by_id((i32::from(id.bucket), i64::from(id.version)));
        let rows = self
            .observed("load_data_key", self.rows(query.build(self.backend())))
            .await?;
        rows.first().map(read_row).transpose()
    }

    /// Inserts those that are absent, all or none. Read them back to see who won.
    pub async fn insert_data_keys(
        &self,
        new: Vec<DataKeyRow>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let rows = new.into_iter().map(|key| stored_row(key, now));
        limited("inserting data keys", self.step_limit(), async {
            let transaction = self.transaction().await?;
            data_keys::Entity::insert_many(rows)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(&transaction)
                .await
                .map_err(unavailable)?;
            transaction.commit().await.map_err(unavailable)
        })
        .await
    }

    /// Deletes data keys that were retired before `before` and that nothing refers to.
    pub async fn purge_data_keys(&self, before: OffsetDateTime) -> Result<u64, Error> {
        let refers = |table: &'static str| {
            let same = |column: &'static str, own: data_keys::Column| {
                Expr::col((table, column)).equals((data_keys::Entity, own))
            };
            Expr::exists(
                Query::select()
                    .expr(Expr::val(1))
                    .from(table)
                    .cond_where(
                        Condition::all()
                            .add(same("bucket", data_keys::Column::Bucket))
                            .add(same("data_key_version", data_keys::Column::Version)),
                    )
                    .to_owned(),
            )
        };
        self.purge(
            data_keys::Entity::delete_many()
                .filter(data_keys::Column::State.eq("retired"))
                .filter(data_keys::Column::RetiredAt.lt(before))
                .filter(refers("provider_keys").not())
                .filter(refers("request_results").not()),
        )
        .await
    }
}

/// What is needed of a row; its times are not.
#[derive(FromQueryResult)]
struct Row {
    bucket: i32,
    version: i64,
    wrapped: Vec<u8>,
    kms_key_arn: String,
    state: String,
}

fn damaged(error: Error) {
    tracing::error!(?error, "a row of a data key is damaged");
}

/// Locks a data key for as long as the transaction lasts, and says whether it seals.
pub(super) async fn lock_active(
    transaction: &DatabaseTransaction,
    id: DataKeyId,
) -> Result<Option<Vec<u8>>, Error> {
    let row = data_keys::Entity::find_by_id((i32::from(id.bucket), i64::from(id.version)))
        .select_only()
        .column(data_keys::Column::State)
        .column(data_keys::Column::Wrapped)
        .lock_shared()
        .into_tuple::<(String, Vec<u8>)>()
        .one(transaction);
    let row = row.await.map_err(unavailable)?;
    Ok(row
        .filter(|(state, _)| state == "active")
        .map(|(_, wrapped)| wrapped))
}

/// A row as a data key.
pub(super) fn read_row(row: &QueryResult) -> Result<DataKeyRow, Error> {
    let row = Row::from_query_result(row, "").map_err(unavailable)?;
    let bucket = u16::try_from(row.bucket).map_err(|_| corrupt("a bucket beyond its range"))?;
    let version =
        u32::try_from(row.version).map_err(|_| corrupt("a data-key version beyond its range"))?;
    Ok(DataKeyRow {
        id: DataKeyId { bucket, version },
        wrapped: row.wrapped,
        kms_key_arn: row.kms_key_arn,
        active: row.state == "active",
    })
}

/// A data key as a new row.
pub(super) fn stored_row(key: DataKeyRow, now: OffsetDateTime) -> data_keys::ActiveModel {
    data_keys::ActiveModel {
        bucket: Set(i32::from(key.id.bucket)),
        version: Set(i64::from(key.id.version)),
        wrapped: Set(key.wrapped),
        kms_key_arn: Set(key.kms_key_arn),
        state: Set(if key.active { "active" } else { "retired" }.to_owned()),
        created_at: Set(now),
        retired_at: Set((!key.active).then_some(now)),
    }
}

#[cfg(test)]
impl Store {
    /// What someone does who can write to the database.
    pub(crate) async fn overwrite_data_key(&self, row: DataKeyRow) {
        let model = data_keys::ActiveModel {
            bucket: Set(i32::from(row.id.bucket)),
            version: Set(i64::from(row.id.version)),
            wrapped: Set(row.wrapped),
            kms_key_arn: Set(row.kms_key_arn),
            state: Set(if row.active { "active" } else { "retired" }.to_owned()),
            ..Default::default()
        };
        data_keys::Entity::update(model)
            .exec(&self.writer)
            .await
            .unwrap();
    }
}
