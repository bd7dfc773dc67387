//! ListAuditEvents: the changes of a workspace, with their authors and times.
//!
//! Invariants: read from the database, in the order of the changes. A page ends before its answer becomes too large to
//! send.
//!
//! Not here: resolves and refused attempts, which are in the audit stream only.

use crate::{
    app_state::AppState,
    domain::{
        admitted::Admitted,
        audit::{RecordedEvent, TimeRange},
        error::Error,
        names::{Scope, WorkspaceId},
    },
};

/// The most bytes of states before and after in one answer.
const MAX_STATE_BYTES: usize = 2 * 1024 * 1024;
/// Counted for the other fields of an event.
const EVENT_BYTES: usize = 1024;

/// A page of changes.
#[derive(Debug)]
pub struct AuditPage {
    /// The changes, oldest first.
    pub events: Vec<RecordedEvent>,
    /// The revision after which the next page begins; `None`: the last page.
    pub next: Option<u64>,
}

/// Lists a workspace's changes after a revision.
pub async fn list_audit_events(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    range: TimeRange,
    after: u64,
    limit: usize,
) -> Result<AuditPage, Error> {
    page(state, &workspace.scope(), range, after, limit).await
}

/// A page of a holder's changes.
pub(super) async fn page(
    state: &AppState,
    scope: &Scope,
    range: TimeRange,
    after: u64,
    limit: usize,
) -> Result<AuditPage, Error> {
    // One more than asked for shows whether another page follows.
    let read = limit.saturating_add(1);
    let mut events = state.store.audit_events(scope, range, after, read).await?;
    let mut size = 0_usize;
    let fitting = events.iter().take(limit).take_while(|event| {
        let first = size == 0;
        size = [event.before.len(), event.after.len(), EVENT_BYTES]
            .into_iter()
            .fold(size, usize::saturating_add);
        first || size <= MAX_STATE_BYTES
    });
    let fitting = fitting.count();
    let more = events.len() > fitting;
    events.truncate(fitting);
    Ok(AuditPage {
        next: events.last().map(|event| event.revision).filter(|_| more),
        events,
    })
}
