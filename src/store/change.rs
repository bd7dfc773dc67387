//! The transaction of a change, from the holder's lock to the commit.
//!
//! Invariants:
//! - The holder's row is locked before it is read, so two changes of one holder never see the same revision.
//! - The audit event, the change-log row and the stored result are in the same transaction.
//! - Dropped without `commit`, it leaves nothing.
//! - A record is sealed only under a data key that is active at the commit.
//!
//! Not here: what the change does (`domain::change`, `ops`).

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseTransaction;
use time::OffsetDateTime;

use super::{
    database::Database,
    db_error::is_read_only,
    limits::limited,
    observe::observe,
    statements::{
        audit_events, change_log, data_keys, holders,
        model_lists::SharedLists,
        provider_keys,
        request_results::{self, StoredResult},
    },
};
use crate::domain::{
    audit::AuditEvent,
    caller::Rpc,
    change::{Draft, KeyEdit},
    envelope::{DataKeyId, data_key_of},
    error::Error,
    names::{RequestId, Scope},
    workspace::Holder,
};

/// The open transaction of a change.
pub struct ChangeTransaction {
    transaction: DatabaseTransaction,
    lists: Arc<SharedLists>,
    system: &'static str,
    scope: Scope,
    limit: Duration,
    /// The data key whose row is locked.
    data_key: Option<DataKeyId>,
}

impl ChangeTransaction {
    /// Begins a transaction and locks the holder.
    pub(super) async fn begin(
        database: &Database,
        lists: &Arc<SharedLists>,
        scope: &Scope,
    ) -> Result<Self, Error> {
        let transaction = database.writer.begin().await?;
        let limit = database.writer.step_limit();
        limited("waiting for the workspace's lock", limit, async {
            let locked = holders::lock(&transaction, scope).await;
            if locked.as_ref().is_err_and(is_read_only) {
                database.renew();
            }
            Ok(locked?)
        })
        .await?;
        Ok(Self {
            transaction,
            lists: Arc::clone(lists),
            system: database.writer.system(),
            scope: scope.clone(),
            limit,
            data_key: None,
        })
    }

    /// Reads the locked holder.
    pub async fn holder(&self) -> Result<Holder, Error> {
        // A server that accepts the lock is no standby.
        let load = holders::load(&self.transaction, false, &self.lists, &self.scope);
        limited("a read under the lock", self.limit, load).await
    }

    /// Finds the stored result of a request id: the same request may have committed before this one got the lock.
    pub async fn find_result(
        &self,
        rpc: Rpc,
        request_id: &RequestId,
        now: OffsetDateTime,
    ) -> Result<Option<StoredResult>, Error> {
        let find = request_results::find(&self.transaction, &self.scope, rpc, request_id, now);
        limited("a read under the lock", self.limit, find).await
    }

    /// Locks the row of a data key until the change ends and returns the data key as wrapped; `None`: it is not active,
    /// and nothing may be sealed under it.
    pub async fn lock_data_key(&mut self, id: DataKeyId) -> Result<Option<Vec<u8>>, Error> {
        let active = limited("locking a data key", self.limit, async {
            Ok(data_keys::lock_active(&self.transaction, id).await?)
        })
        .await?;
        self.data_key = active.is_some().then_some(id);
        Ok(active)
    }

    /// Writes everything and commits. After an error other than a refusal, the commit is in doubt.
    pub async fn commit(
        self,
        draft: &Draft,
        event: AuditEvent,
        result: Option<StoredResult>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let (system, limit) = (self.system, self.limit);
        let write = self.write_all(draft, event, result, now);
        observe(system, "commit_change", limited("a commit", limit, write)).await
    }

    async fn write_all(
        self,
        draft: &Draft,
        event: AuditEvent,
        result: Option<StoredResult>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let (transaction, scope) = (&self.transaction, &self.scope);
        if !draft.changed() && draft.edits().is_empty() && result.is_none() {
            // Also removes a holder's row that the lock inserted.
            return Ok(self.transaction.rollback().await?);
        }
        for edit in draft.edits() {
            match edit {
                KeyEdit::Put(provider, key) => {
                    let data_key = data_key_of(&key.sealed).map_err(Error::internal)?;
                    if self.data_key != Some(data_key) {
                        return Err(Error::internal(
                            "a record was sealed under a data key whose row is not locked",
                        ));
                    }
                    provider_keys::end_active(transaction, scope, provider, "superseded", now)
                        .await?;
                    provider_keys::insert(transaction, scope, provider, key, data_key).await?;
                }
                KeyEdit::Drop(provider) => {
                    provider_keys::end_active(transaction, scope, provider, "deleted", now).await?;
                }
                KeyEdit::Checked(key) => {
                    provider_keys::update_check(transaction, scope, key).await?;
                }
            }
        }
        let revision = draft.after().revision();
        if draft.changed() {
            holders::update(transaction, scope, draft.after(), now).await?;
            audit_events::insert(transaction, scope, event, revision, now).await?;
        }
        if let Some(result) = result {
            request_results::insert(transaction, scope, result).await?;
        }
        if draft.changed() {
            change_log::append(transaction, scope, revision, now).await?;
        }
        Ok(self.transaction.commit().await?)
    }
}
