//! The one road of every change: remembered result, lock, plan, commit, invalidation, line of the audit stream.
//!
//! Invariants: lock, plan, commit and invalidation run in a task of their own, so that a caller who is gone leaves a
//! whole change or none. A plan is a pure function of the locked state. A request id is looked up before and again
//! under the lock; its payload is compared by an HMAC under the bucket's data key. No KMS and no provider is called
//! while the transaction is open.
//!
//! Absent: what any change is about.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::Duration;
use tokio::sync::watch;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::{AppState, sealing::Sealing};
use crate::{
    audit,
    domain::{
        audit::AuditEvent,
        caller::{Caller, Rpc},
        change::Draft,
        error::{Error, Reason},
        names::{OnBehalfOf, ProviderName, RequestId, Scope, WorkspaceId},
        verdict::Verdict,
    },
    store::StoredResult,
};

/// For how long a retry finds the first result.
const REMEMBERED_FOR: Duration = Duration::hours(24);

/// What every change may carry.
#[derive(Clone, Debug, Default)]
pub struct ChangeMeta {
    /// The retry's name for it.
    pub request_id: Option<RequestId>,
    /// The revision that it rests on; 0: never seen.
    pub expected_revision: Option<u64>,
    /// The product's end user.
    pub on_behalf_of: OnBehalfOf,
}

/// Which change, by whom, to what.
#[derive(Clone)]
pub(super) struct Intent {
    pub(super) rpc: Rpc,
    pub(super) scope: Scope,
    pub(super) actor: String,
    pub(super) meta: ChangeMeta,
    payload: Arc<Zeroizing<Vec<u8>>>,
}

/// What a plan answers, and what is remembered of it.
pub(super) struct Planned<T> {
    pub(super) answer: T,
    pub(super) provider: Option<ProviderName>,
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) verdict: Option<Verdict>,
}

impl Intent {
    /// `fields` are everything in the request that makes it this change, in a fixed order.
    pub(super) fn new(
        rpc: Rpc,
        scope: Scope,
        caller: &Caller,
        meta: ChangeMeta,
        fields: &[&str],
    ) -> Self {
        let payload = match &meta.request_id {
            None => Zeroizing::default(),
            Some(_) => payload(&meta, fields),
        };
        Self {
            rpc,
            scope,
            actor: caller.subject.clone(),
            meta,
            payload: Arc::new(payload),
        }
    }

    /// Whose change it is; `None`: the platform's.
    fn workspace(&self) -> Option<WorkspaceId> {
        match &self.scope {
            Scope::Workspace(id) => Some(id.clone()),
            Scope::Platform => None,
        }
    }

    /// Refuses a stale `expected_revision`: `REVISION_MISMATCH`.
    pub(super) fn expects(&self, revision: u64) -> Result<(), Error> {
        match self.meta.expected_revision {
            Some(expected) if expected != revision => Err(Error::new(
                Reason::RevisionMismatch,
                format!(
                    "the change rests on revision {expected}, but the current one is {revision}; read again"
                ),
            )
            .with("revision", revision.to_string())),
            _ => Ok(()),
        }
    }
}

/// Every field with its length, so that no two requests have the same bytes.
fn payload(meta: &ChangeMeta, fields: &[&str]) -> Zeroizing<Vec<u8>> {
    let revision = meta
        .expected_revision
        .map(|revision| revision.to_string())
        .unwrap_or_default();
    let all = || {
        fields
            .iter()
            .copied()
            .chain([meta.on_behalf_of.as_str(), revision.as_str()])
    };
    // Room for all of it at once: bytes that grow leave copies of the key behind.
    let length = all().fold(0_usize, |sum, field| {
        sum.saturating_add(field.len()).saturating_add(8)
    });
    let mut payload = Zeroizing::new(Vec::with_capacity(length));
    for field in all() {
        payload.extend(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        payload.extend(field.as_bytes());
    }
    payload
}

/// The first result of this request id, if there is one; `REQUEST_ID_REUSED` if its payload was another.
pub(super) async fn replayed<T: DeserializeOwned>(
    state: &AppState,
    intent: &Intent,
) -> Result<Option<T>, Error> {
    let Some(request_id) = &intent.meta.request_id else {
        return Ok(None);
    };
    let now = state.clock.now();
    let Some(found) = state
        .store
        .find_result(&intent.scope, intent.rpc, request_id, now)
        .await?
    else {
        return Ok(None);
    };
    let data_key = state.keyring.get(found.data_key).await?;
    if data_key.fingerprint(&intent.payload) != found.fingerprint {
        return Err(Error::new(
            Reason::RequestIdReused,
            "this request_id belongs to an earlier change with another content; use a new one",
        ));
    }
    let answer = serde_json::from_value(found.result).map_err(Error::internal)?;
    let repeated = audit::Repeated {
        actor: intent.actor.clone(),
        workspace: intent.workspace(),
        rpc: intent.rpc,
        request_id: request_id.clone(),
    };
    state.audit.repeated(repeated).await?;
    Ok(Some(answer))
}

/// Makes a change. The plan edits the draft and says what to answer; it may refuse, and then nothing is written.
pub(super) async fn commit<T>(
    state: &Arc<AppState>,
    intent: Intent,
    plan: impl FnOnce(&mut Draft) -> Result<Planned<T>, Error> + Send + 'static,
) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    carry_out(state, intent, false, |draft, _| plan(draft)).await
}

/// The same for a plan that seals a record.
pub(super) async fn commit_sealed<T>(
    state: &Arc<AppState>,
    intent: Intent,
    plan: impl FnOnce(&mut Draft, &Sealing) -> Result<Planned<T>, Error> + Send + 'static,
) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    carry_out(state, intent, true, |draft, sealing| {
        plan(
            draft,
            sealing
                .ok_or_else(|| Error::internal("a change that seals has nothing to seal with"))?,
        )
    })
    .await
}

async fn carry_out<T>(
    state: &Arc<AppState>,
    intent: Intent,
    seals: bool,
    plan: impl FnOnce(&mut Draft, Option<&Sealing>) -> Result<Planned<T>, Error> + Send + 'static,
) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    if let Some(answer) = replayed(state, &intent).await? {
        return Ok(answer);
    }
    state.audit.ready()?;
    let (task_state, task_intent, running) =
        (Arc::clone(state), intent.clone(), state.changes.begin());
    let work = async move {
        let _running = running;
        locked(&task_state, task_intent, seals, plan).await
    };
    let task = tokio::spawn(work.in_current_span());
    match task.await.map_err(Error::internal)?? {
        Some(answer) => Ok(answer),
        // The twin of this request committed while this one waited for the lock.
        None => replayed(state, &intent)
            .await?
            .ok_or_else(|| Error::internal("a remembered result vanished")),
    }
}

/// The changes that run, also those whose callers are gone.
#[derive(Default)]
pub struct Changes(watch::Sender<usize>);

/// A change that runs, until this is dropped.
struct Running(watch::Sender<usize>);

impl Changes {
    fn begin(&self) -> Running {
        self.0
            .send_modify(|running| *running = running.saturating_add(1));
        Running(self.0.clone())
    }

    /// Waits until none runs.
    pub async fn settled(&self) {
        // It fails when the sender is gone, and here it is.
        let mut running = self.0.subscribe();
        let _none = running.wait_for(|running| *running == 0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0
            .send_modify(|running| *running = running.saturating_sub(1));
    }
}

async fn locked<T: Serialize>(
    state: &AppState,
    intent: Intent,
    seals: bool,
    plan: impl FnOnce(&mut Draft, Option<&Sealing>) -> Result<Planned<T>, Error>,
) -> Result<Option<T>, Error> {
    let now = state.clock.now();
    let fingerprint = match &intent.meta.request_id {
        None => None,
        Some(request_id) => {
            let data_key = state.keyring.active(&intent.scope).await?;
            Some((
                request_id.clone(),
                data_key.id,
                data_key.fingerprint(&intent.payload),
            ))
        }
    };
    let history = state.cache.committing(&intent.scope);
    let (change, sealing) = match seals {
        true => Sealing::begin(state, &intent.scope)
            .await
            .map(|(change, sealing)| (change, Some(sealing)))?,
        false => (state.store.begin(&intent.scope).await?, None),
    };
    if let Some(request_id) = &intent.meta.request_id
        && change.has_result(intent.rpc, request_id, now).await?
    {
        return Ok(None);
    }
    let mut draft = Draft::new(change.holder().await?);
    intent.expects(draft.before().revision())?;
    let planned = plan(&mut draft, sealing.as_ref())?;
    let remembered = match fingerprint {
        None => None,
        Some((request_id, data_key, fingerprint)) => Some(StoredResult {
            rpc: intent.rpc,
            request_id,
            data_key,
            fingerprint,
            result: serde_json::to_value(&planned.answer).map_err(Error::internal)?,
            expires_at: now.saturating_add(REMEMBERED_FOR),
        }),
    };
    let workspace = intent.workspace();
    let event = AuditEvent {
        actor: intent.actor,
        on_behalf_of: intent.meta.on_behalf_of,
        action: intent.rpc,
        provider: planned.provider,
        before: planned.before,
        after: planned.after,
        verdict: planned.verdict,
        request_id: intent.meta.request_id,
    };
    // This task outlives its caller, so that a change has its line.
    let line = draft
        .changed()
        .then(|| audit::Changed::of(&event, workspace, draft.after().revision()));
    if let Err(error) = change.commit(&draft, event, remembered, now).await {
        state.cache.suspect(&intent.scope);
        return Err(error);
    }
    if draft.changed() {
        state
            .cache
            .committed(&intent.scope, draft.after().revision(), history);
    } else if !draft.edits().is_empty() {
        state.cache.suspect(&intent.scope);
    }
    if let Some(line) = line {
        state.audit.changed(line).await?;
    }
    Ok(Some(planned.answer))
}
