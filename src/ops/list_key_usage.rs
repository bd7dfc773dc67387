//! ListKeyUsage: how often each caller was handed each key of a workspace, by the hour.
//!
//! Invariants: read from the database, to which every replica adds its counts every ten seconds. The current hour goes on
//! counting.
//!
//! Not here: the LLM calls made with a key, which byokd does not see.

use crate::{
    app_state::AppState,
    domain::{
        admitted::Admitted,
        audit::{KeyUsage, TimeRange},
        error::Error,
        names::WorkspaceId,
    },
};

pub use crate::store::UsagePlace;

/// A page of counts.
#[derive(Debug)]
pub struct UsagePage {
    /// The counts, oldest hour first.
    pub usage: Vec<KeyUsage>,
    /// The row after which the next page begins; `None`: the last page.
    pub next: Option<UsagePlace>,
}

/// Lists a workspace's counts after a row.
pub async fn list_key_usage(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    range: TimeRange,
    after: Option<UsagePlace>,
    limit: usize,
) -> Result<UsagePage, Error> {
    // One more than asked for shows whether another page follows.
    let read = limit.saturating_add(1);
    let mut usage = state.store.key_usage(workspace, range, after, read).await?;
    let more = usage.len() > limit;
    usage.truncate(limit);
    let last = usage.last().filter(|_| more);
    Ok(UsagePage {
        next: last.map(|row| {
            let (provider, caller) = (row.provider.clone(), row.caller.clone());
            (row.hour, provider, row.generation, caller)
        }),
        usage,
    })
}
