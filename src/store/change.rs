//! A change, from the lock to the commit.
//!
//! Invariants: the holder's row is locked before it is read, so two changes of one workspace never see the same
//! revision; audit row, change-log row and remembered result are part of the same transaction; dropped without
//! `commit`, it leaves no trace. A record may only be sealed under a data key that is active at the commit.
//!
//! Absent: what the change is about (`domain::change`, `ops`).

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryResult, QuerySelect, Statement,
    sea_query::{Expr, OnConflict},
};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Store,
    data_keys::lock_active,
    entities::{audit_events, change_log, holders, provider_keys},
    fault::{corrupt, unavailable},
    lists::{self, SharedLists},
    load::{self, SelectionJson},
    observed::observed,
    requests::{self, Remembered},
    transaction::limited,
};
use crate::domain::{
    audit::AuditEvent,
    caller::Rpc,
    change::{Draft, KeyEdit},
    envelope::{DataKeyId, data_key_of},
    error::Error,
    names::{ProviderName, RequestId, Scope},
    workspace::{Holder, StoredKey},
};

/// Taken last, and held until the commit, so that changes are numbered in the order in which they are committed. The hint
/// is delivered at the commit.
const LAST_LOCK: &str = "SELECT pg_advisory_xact_lock(7234017283807667315); NOTIFY byokd_changes";

/// A change that has begun.
pub struct Change {
    transaction: DatabaseTransaction,
    lists: Arc<SharedLists>,
    system: &'static str,
    scope: Scope,
    limit: Duration,
    /// The data key whose row is locked.
    seals_under: Option<DataKeyId>,
}

impl Change {
    /// Locks the holder's row, which is made if there is none.
    pub(super) async fn begin(
        transaction: DatabaseTransaction,
        store: &Store,
        scope: &Scope,
        limit: Duration,
    ) -> Result<Self, DbErr> {
        let row = holders::ActiveModel {
            scope: Set(scope.kind().to_owned()),
            workspace_id: Set(scope.workspace_id().to_owned()),
            present: Set(false),
            byo_enabled: Set(false),
            revision: Set(0),
            selections: Set(Value::Object(serde_json::Map::new())),
            generations: Set(Value::Object(serde_json::Map::new())),
            updated_at: Set(OffsetDateTime::UNIX_EPOCH),
        };
        holders::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await?;
        holders::Entity::find_by_id((scope.kind().to_owned(), scope.workspace_id().to_owned()))
            .select_only()
            .column(holders::Column::Scope)
            .lock_exclusive()
            .into_tuple::<String>()
            .one(&transaction)
            .await?;
        let (lists, system) = (Arc::clone(&store.lists), store.system());
        Ok(Self {
            transaction,
            lists,
            system,
            scope: scope.clone(),
            limit,
            seals_under: None,
        })
    }

    /// What the lock protects.
    pub async fn holder(&self) -> Result<Holder, Error> {
        let backend = self.transaction.get_database_backend();
        // Who may write is no standby.
        let rows = self.rows(load::select(backend, false, &self.scope));
        load::holder(&rows.await?, &self.lists, &self.scope)
    }

    /// Whether a request id already has a result: its twin committed between the first look and the lock.
    pub async fn remembers(
        &self,
        rpc: Rpc,
        request_id: &RequestId,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let backend = self.transaction.get_database_backend();
        let rows = self
            .rows(requests::select(backend, &self.scope, rpc, request_id))
            .await?;
        Ok(requests::found(&rows, rpc, request_id, now)?.is_some())
    }

    async fn rows(&self, statement: Statement) -> Result<Vec<QueryResult>, Error> {
        let rows = self.transaction.query_all_raw(statement);
        limited("a read under the lock", self.limit, async {
            rows.await.map_err(unavailable)
        })
        .await
    }

    /// Locks the row of the data key that is sealed under, for as long as this change lasts, and answers it as it is
    /// wrapped. `None`: it is not active any more, and nothing may be sealed under it.
    pub async fn lock_data_key(&mut self, id: DataKeyId) -> Result<Option<Vec<u8>>, Error> {
        let active = lock_active(&self.transaction, id);
        let active = limited("locking a data key", self.limit, active).await?;
        self.seals_under = active.is_some().then_some(id);
        Ok(active)
    }

    /// Writes everything and commits it. After an error that is not a refusal it may have happened all the same.
    pub async fn commit(
        self,
        draft: &Draft,
        event: AuditEvent,
        remembered: Option<Remembered>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let (system, limit) = (self.system, self.limit);
        let commit = limited(
            "a commit",
            limit,
            self.write_all(draft, event, remembered, now),
        );
        observed(system, "commit_change", commit).await
    }

    async fn write_all(
        self,
        draft: &Draft,
        event: AuditEvent,
        remembered: Option<Remembered>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if !draft.changed() && draft.edits().is_empty() && remembered.is_none() {
            // Nothing to write: not even the row that the lock may have made stays.
            return self.transaction.rollback().await.map_err(unavailable);
        }
        for edit in draft.edits() {
            match edit {
                KeyEdit::Put(provider, key) => {
                    self.end_active(provider, "superseded", now).await?;
                    self.insert_key(provider, key).await?;
                }
                KeyEdit::Drop(provider) => self.end_active(provider, "deleted", now).await?,
                KeyEdit::Checked(key) => self.update_check(key).await?,
            }
        }
        if draft.changed() {
            self.write_holder(draft.after(), now).await?;
            self.write_event(event, draft.after().revision(), now)
                .await?;
        }
        if let Some(remembered) = remembered {
            requests::remember(&self.transaction, &self.scope, remembered).await?;
        }
        if draft.changed() {
            self.append_to_log(draft.after().revision(), now).await?;
        }
        self.transaction.commit().await.map_err(unavailable)
    }

    async fn end_active(
        &self,
        provider: &ProviderName,
        state: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        use provider_keys::Column;
        // Sealed bytes and the reference to a data key leave with the state; the masked history stays.
        provider_keys::Entity::update_many()
            .col_expr(Column::State, Expr::value(state))
            .col_expr(Column::Sealed, Expr::value(Option::<Vec<u8>>::None))
            .col_expr(Column::Bucket, Expr::value(Option::<i32>::None))
            .col_expr(Column::DataKeyVersion, Expr::value(Option::<i64>::None))
            .col_expr(Column::ModelListHash, Expr::value(Option::<Vec<u8>>::None))
            .col_expr(Column::EndedAt, Expr::value(now))
            .filter(Column::Scope.eq(self.scope.kind()))
            .filter(Column::WorkspaceId.eq(self.scope.workspace_id()))
            .filter(Column::Provider.eq(provider.as_str()))
            .filter(Column::State.eq("active"))
            .exec(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn insert_key(&self, provider: &ProviderName, key: &StoredKey) -> Result<(), Error> {
        let data_key = data_key_of(&key.sealed).map_err(Error::internal)?;
        if self.seals_under != Some(data_key) {
            return Err(Error::internal(
                "a record was sealed under a data key whose row is not locked",
            ));
        }
        let hash = self.write_models(key).await?;
        let row = provider_keys::ActiveModel {
            key_id: Set(key.key_id),
            scope: Set(self.scope.kind().to_owned()),
            workspace_id: Set(self.scope.workspace_id().to_owned()),
            provider: Set(provider.as_str().to_owned()),
            generation: Set(stored(key.generation)?),
            state: Set("active".to_owned()),
            sealed: Set(Some(key.sealed.to_vec())),
            bucket: Set(Some(i32::from(data_key.bucket))),
            data_key_version: Set(Some(i64::from(data_key.version))),
            base_url: Set(key.binding.base_url.clone()),
            headers: Set(serde_json::to_value(&key.binding.headers).map_err(Error::internal)?),
            masked: Set(key.masked.clone()),
            verdict: Set(key
                .health
                .verdict
                .map(|verdict| verdict.as_str().to_owned())),
            checked_at: Set(key.health.checked_at),
            verified_at: Set(key.health.verified_at),
            refused_count: Set(i32::try_from(key.health.refused_count).map_err(Error::internal)?),
            refused_since: Set(key.health.refused_since),
            model_list_hash: Set(hash),
            models_as_of: Set(key.models.as_ref().map(|listing| listing.as_of)),
            set_by: Set(key.set_by.clone()),
            on_behalf_of: Set(key.on_behalf_of.as_str().to_owned()),
            set_at: Set(key.set_at),
            ended_at: Set(None),
        };
        provider_keys::Entity::insert(row)
            .exec_without_returning(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn update_check(&self, key: &StoredKey) -> Result<(), Error> {
        use provider_keys::Column;
        let hash = self.write_models(key).await?;
        provider_keys::Entity::update_many()
            .col_expr(
                Column::Verdict,
                Expr::value(
                    key.health
                        .verdict
                        .map(|verdict| verdict.as_str().to_owned()),
                ),
            )
            .col_expr(Column::CheckedAt, Expr::value(key.health.checked_at))
            .col_expr(Column::VerifiedAt, Expr::value(key.health.verified_at))
            .col_expr(
                Column::RefusedCount,
                Expr::value(i32::try_from(key.health.refused_count).unwrap_or(i32::MAX)),
            )
            .col_expr(Column::RefusedSince, Expr::value(key.health.refused_since))
            .col_expr(Column::ModelListHash, Expr::value(hash))
            .col_expr(
                Column::ModelsAsOf,
                Expr::value(key.models.as_ref().map(|listing| listing.as_of)),
            )
            .filter(Column::Scope.eq(self.scope.kind()))
            .filter(Column::WorkspaceId.eq(self.scope.workspace_id()))
            .filter(Column::KeyId.eq(key.key_id))
            .exec(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn write_models(&self, key: &StoredKey) -> Result<Option<Vec<u8>>, Error> {
        match &key.models {
            Some(listing) => Ok(Some(
                lists::write(&self.transaction, &listing.models).await?,
            )),
            None => Ok(None),
        }
    }

    async fn write_holder(&self, holder: &Holder, now: OffsetDateTime) -> Result<(), Error> {
        use holders::Column;
        let generations: serde_json::Map<String, Value> = holder
            .generations()
            .iter()
            .map(|(name, count)| (name.to_string(), Value::from(*count)))
            .collect();
        let (present, byo_enabled, selections) = match holder {
            Holder::Platform(_) => (true, false, serde_json::Map::new()),
            Holder::Workspace(workspace) => {
                let selections = workspace.selections.iter().map(|(name, selection)| {
                    let json = SelectionJson {
                        model: selection.model.to_string(),
                        revision: selection.revision,
                    };
                    Ok((
                        name.to_string(),
                        serde_json::to_value(json).map_err(Error::internal)?,
                    ))
                });
                (
                    workspace.exists,
                    workspace.byo_enabled,
                    selections.collect::<Result<_, Error>>()?,
                )
            }
        };
        holders::Entity::update_many()
            .col_expr(Column::Present, Expr::value(present))
            .col_expr(Column::ByoEnabled, Expr::value(byo_enabled))
            .col_expr(Column::Revision, Expr::value(stored(holder.revision())?))
            .col_expr(Column::Selections, Expr::value(Value::Object(selections)))
            .col_expr(Column::Generations, Expr::value(Value::Object(generations)))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::Scope.eq(self.scope.kind()))
            .filter(Column::WorkspaceId.eq(self.scope.workspace_id()))
            .exec(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn write_event(
        &self,
        event: AuditEvent,
        revision: u64,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let row = audit_events::ActiveModel {
            event_id: Set(Uuid::now_v7()),
            scope: Set(self.scope.kind().to_owned()),
            workspace_id: Set(self.scope.workspace_id().to_owned()),
            at: Set(now),
            actor: Set(event.actor),
            on_behalf_of: Set(event.on_behalf_of.as_str().to_owned()),
            action: Set(event.action.as_str().to_owned()),
            provider: Set(event.provider.map(|name| name.to_string())),
            before: Set(event.before),
            after: Set(event.after),
            verdict: Set(event.verdict.map(|verdict| verdict.as_str().to_owned())),
            request_id: Set(event.request_id.map(|id| id.to_string())),
            revision: Set(stored(revision)?),
        };
        audit_events::Entity::insert(row)
            .exec_without_returning(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    async fn append_to_log(&self, revision: u64, now: OffsetDateTime) -> Result<(), Error> {
        if self.transaction.get_database_backend() == DatabaseBackend::Postgres {
            // SQLite has one writer anyway.
            self.transaction
                .execute_unprepared(LAST_LOCK)
                .await
                .map_err(unavailable)?;
        }
        let row = change_log::ActiveModel {
            sequence: NotSet,
            change_id: Set(Uuid::new_v4()),
            scope: Set(self.scope.kind().to_owned()),
            workspace_id: Set(self.scope.workspace_id().to_owned()),
            revision: Set(stored(revision)?),
            at: Set(now),
        };
        change_log::Entity::insert(row)
            .exec_without_returning(&self.transaction)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}

fn stored(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|_| corrupt("a counter beyond 63 bits"))
}
