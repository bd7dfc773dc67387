//! One attempt at a change: look the request id up, lock, plan, commit, invalidate the cache, write the audit entry.
//!
//! Invariants:
//! - A retry never plans: it gets the first result, found before the lock or, for a twin that committed meanwhile, under
//!   it.
//! - A plan that seals gets a [`Sealing`], which exists only while its data key is locked.
//! - A commit whose outcome is unknown marks the cached workspace.
//!
//! Not here: the task that an attempt runs in (`changes`).

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use time::{Duration, OffsetDateTime};

use super::{
    changes::Changes,
    outcome::Outcome,
    replay::replay,
    request::{ChangeRequest, IdempotencyKey},
    sealing::Sealing,
};
use crate::{
    audit,
    domain::{audit::AuditEvent, change::Draft, envelope::DataKeyId, error::Error},
    store::{ChangeTransaction, StoredResult},
    workspace_cache::History,
};

/// How long a retry finds the first result.
const REMEMBERED_FOR: Duration = Duration::hours(24);

/// An answer that is remembered for retries.
pub trait Replayable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Replayable for T {}

/// The result of looking a request id up.
pub enum RequestLookup<T> {
    /// The change was made before; this was its answer.
    Replayed(T),
    /// The change is to be made.
    Fresh(Attempt),
}

/// A change that is to be made.
pub struct Attempt {
    changes: Arc<Changes>,
    request: ChangeRequest,
}

/// Everything that is fetched before the lock.
struct Preparation<'r> {
    now: OffsetDateTime,
    history: History,
    fingerprint: Option<Fingerprint<'r>>,
}

/// The payload's HMAC under the active data key.
struct Fingerprint<'r> {
    key: &'r IdempotencyKey,
    data_key: DataKeyId,
    hmac: Vec<u8>,
}

/// Makes a change, or answers its retry. The plan edits the draft; if it refuses, nothing is written.
pub async fn commit<T: Replayable>(
    changes: &Arc<Changes>,
    request: ChangeRequest,
    plan: impl FnOnce(&mut Draft) -> Result<Outcome<T>, Error> + Send + 'static,
) -> Result<T, Error> {
    let attempt = match Attempt::begin(changes, request).await? {
        RequestLookup::Replayed(answer) => return Ok(answer),
        RequestLookup::Fresh(attempt) => attempt,
    };
    let changes = Arc::clone(changes);
    changes.audit.ready()?;
    let steps = async move {
        let prepared = attempt.prepare().await?;
        let change = attempt.changes.store.begin(&attempt.request.scope).await?;
        attempt.conclude(prepared, change, plan).await
    };
    changes.run(steps).await
}

impl Attempt {
    /// Looks the request id up.
    pub async fn begin<T: DeserializeOwned>(
        changes: &Arc<Changes>,
        request: ChangeRequest,
    ) -> Result<RequestLookup<T>, Error> {
        if let Some(key) = &request.idempotency_key {
            let (store, now) = (&changes.store, changes.clock.now());
            let first = store.find_result(&request.scope, request.rpc, &key.request_id, now);
            if let Some(first) = first.await? {
                let answer = replay(changes, &request, key, first).await?;
                return Ok(RequestLookup::Replayed(answer));
            }
        }
        Ok(RequestLookup::Fresh(Self {
            changes: Arc::clone(changes),
            request,
        }))
    }

    /// Refuses a stale `expected_revision` early; the revision is checked again under the lock.
    pub fn check_revision(&self, revision: u64) -> Result<(), Error> {
        self.request.check_revision(revision)
    }

    /// Makes a change whose plan seals a record.
    pub async fn commit_sealed<T: Replayable>(
        self,
        plan: impl FnOnce(&mut Draft, &Sealing) -> Result<Outcome<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let changes = Arc::clone(&self.changes);
        changes.audit.ready()?;
        let steps = async move {
            let prepared = self.prepare().await?;
            let (change, sealing) = Sealing::begin(&self.changes, &self.request.scope).await?;
            let plan = |draft: &mut Draft| plan(draft, &sealing);
            self.conclude(prepared, change, plan).await
        };
        changes.run(steps).await
    }

    async fn prepare(&self) -> Result<Preparation<'_>, Error> {
        let (changes, scope) = (&self.changes, &self.request.scope);
        let now = changes.clock.now();
        let fingerprint = match &self.request.idempotency_key {
            None => None,
            Some(key) => {
                let data_key = changes.keyring.active(scope).await?;
                Some(Fingerprint {
                    key,
                    data_key: data_key.id,
                    hmac: data_key.fingerprint(&key.payload),
                })
            }
        };
        Ok(Preparation {
            now,
            history: changes.cache.committing(scope),
            fingerprint,
        })
    }

    /// From the lock to the audit line.
    async fn conclude<T: Replayable>(
        &self,
        prepared: Preparation<'_>,
        change: ChangeTransaction,
        plan: impl FnOnce(&mut Draft) -> Result<Outcome<T>, Error>,
    ) -> Result<T, Error> {
        let Self { changes, request } = self;
        let Preparation {
            now,
            history,
            fingerprint,
        } = prepared;
        if let Some(Fingerprint { key, .. }) = fingerprint
            && let Some(first) = change
                .find_result(request.rpc, &key.request_id, now)
                .await?
        {
            // The twin of this request committed while this one waited for the lock.
            drop(change);
            return replay(changes, request, key, first).await;
        }
        let mut draft = Draft::new(change.holder().await?);
        request.check_revision(draft.before().revision())?;
        let outcome = plan(&mut draft)?;
        let remembered = match &fingerprint {
            None => None,
            Some(fingerprint) => Some(StoredResult {
                rpc: request.rpc,
                request_id: fingerprint.key.request_id.clone(),
                data_key: fingerprint.data_key,
                fingerprint: fingerprint.hmac.clone(),
                result: serde_json::to_value(&outcome.answer).map_err(Error::internal)?,
                expires_at: now.saturating_add(REMEMBERED_FOR),
            }),
        };
        let event = AuditEvent {
            actor: request.actor.clone(),
            on_behalf_of: request.on_behalf_of.clone(),
            action: request.rpc,
            provider: outcome.provider,
            before: outcome.before,
            after: outcome.after,
            verdict: outcome.verdict,
            request_id: fingerprint.map(|fingerprint| fingerprint.key.request_id.clone()),
        };
        let revision = draft.after().revision();
        let line = draft
            .changed()
            .then(|| audit::Changed::of(&event, request.workspace(), revision));
        if let Err(error) = change.commit(&draft, event, remembered, now).await {
            changes.cache.suspect(&request.scope);
            return Err(error);
        }
        if let Some(line) = line {
            changes.cache.committed(&request.scope, revision, history);
            changes.audit.changed(line).await?;
        } else if !draft.edits().is_empty() {
            changes.cache.suspect(&request.scope);
        }
        Ok(outcome.answer)
    }
}
