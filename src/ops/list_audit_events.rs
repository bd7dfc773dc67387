//! ListAuditEvents: who changed what of a workspace, and when.
//!
//! Invariants: read from the database, in the order of the changes; a page ends before its answer would be too large to
//! send.
//!
//! Absent: resolves and refused attempts, which are lines of the audit stream only.

use super::AppState;
use crate::domain::{
    admitted::Admitted,
    audit::{RecordedEvent, TimeRange},
    error::Error,
    names::{Scope, WorkspaceId},
};

/// How much of what was and is fits into one answer, in bytes.
const LARGEST: usize = 2 * 1024 * 1024;

/// A page of changes.
#[derive(Debug)]
pub struct AuditPage {
    /// The changes, oldest first.
    pub events: Vec<RecordedEvent>,
    /// The revision that the next page comes after.
    pub next: Option<u64>,
}

/// Lists the changes of a workspace that come after a revision.
pub async fn list_audit_events(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    range: TimeRange,
    after: u64,
    most: usize,
) -> Result<AuditPage, Error> {
    page(state, &workspace.scope(), range, after, most).await
}

/// A page of a workspace's or the platform's changes.
pub(super) async fn page(
    state: &AppState,
    scope: &Scope,
    range: TimeRange,
    after: u64,
    most: usize,
) -> Result<AuditPage, Error> {
    // One more tells whether there is another page.
    let mut events = state
        .store
        .audit_events(scope, range, after, most.saturating_add(1))
        .await?;
    let mut size = 0_usize;
    let fitting = events.iter().take(most).take_while(|event| {
        let first = size == 0;
        size = size
            .saturating_add(event.before.len())
            .saturating_add(event.after.len())
            .saturating_add(1024);
        first || size <= LARGEST
    });
    let fitting = fitting.count();
    let more = events.len() > fitting;
    events.truncate(fitting);
    Ok(AuditPage {
        next: events.last().map(|event| event.revision).filter(|_| more),
        events,
    })
}
