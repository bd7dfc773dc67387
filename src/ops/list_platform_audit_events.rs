//! ListPlatformAuditEvents: who changed what of the operator's own keys, and when.

use super::{AppState, AuditPage, list_audit_events::page};
use crate::domain::{audit::TimeRange, error::Error, names::Scope};

/// Lists the changes of the platform that come after a revision.
pub async fn list_platform_audit_events(
    state: &AppState,
    range: TimeRange,
    after: u64,
    most: usize,
) -> Result<AuditPage, Error> {
    page(state, &Scope::Platform, range, after, most).await
}
