//! ListPlatformAuditEvents: the changes of the platform's keys, with their authors and times.

use super::list_audit_events::{AuditPage, page};
use crate::{
    app_state::AppState,
    domain::{audit::TimeRange, error::Error, names::Scope},
};

/// Lists the platform's changes after a revision.
pub async fn list_platform_audit_events(
    state: &AppState,
    range: TimeRange,
    after: u64,
    limit: usize,
) -> Result<AuditPage, Error> {
    page(state, &Scope::Platform, range, after, limit).await
}
