//! ListKeyUsage: how often which caller was handed which key of a workspace, by the hour.
//!
//! Invariant: read from the database, which every replica tells what it handed out every ten seconds; an hour that is not
//! over goes on counting.
//!
//! Absent: how often a key was used. byokd sees no LLM call.

pub use crate::store::UsagePlace;

use super::AppState;
use crate::domain::{
    admitted::Admitted,
    audit::{KeyUsage, TimeRange},
    error::Error,
    names::WorkspaceId,
};

/// A page of counts.
#[derive(Debug)]
pub struct UsagePage {
    /// The counts, oldest hour first.
    pub usage: Vec<KeyUsage>,
    /// The row that the next page comes after.
    pub next: Option<UsagePlace>,
}

/// Lists the counts of a workspace that come after a row.
pub async fn list_key_usage(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    range: TimeRange,
    after: Option<UsagePlace>,
    most: usize,
) -> Result<UsagePage, Error> {
    // One more tells whether there is another page.
    let mut usage = state
        .store
        .key_usage(workspace, range, after, most.saturating_add(1))
        .await?;
    let more = usage.len() > most;
    usage.truncate(most);
    let last = usage.last().map(|row| {
        (
            row.hour,
            row.provider.clone(),
            row.generation,
            row.caller.clone(),
        )
    });
    Ok(UsagePage {
        next: last.filter(|_| more),
        usage,
    })
}
