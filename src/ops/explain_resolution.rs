//! ExplainResolution: the same decision without the secret, and why each other candidate was not taken.
//!
//! Invariant: it asks the very function that `resolve_credentials` asks, of the very same facts.
//!
//! Absent: opening any key.

use super::{AppState, ResolutionView};
use crate::domain::{
    admitted::Admitted,
    error::Error,
    names::WorkspaceId,
    resolution::{Ask, Candidate, candidates, decide},
};

/// A decision, explained.
#[derive(Debug)]
pub struct Explanation {
    /// What would be granted, or the refusal.
    pub outcome: Result<ResolutionView, Error>,
    /// What was not taken.
    pub candidates: Vec<Candidate>,
    /// The workspace's revision.
    pub revision: u64,
}

/// Explains one call.
pub async fn explain_resolution(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
) -> Result<Explanation, Error> {
    state.admit_purpose(workspace.caller(), &ask.purpose)?;
    let (own, platform) = state.known(workspace, &ask.purpose).await?;
    let outcome = decide(state.facts(&own.entry, &platform.entry), ask)
        .map(|decision| ResolutionView::new(&decision, &state.catalog));
    // The platform's key is told of as one that was not taken, too, if it can be read.
    let platform = state
        .cache
        .platform()
        .await
        .map_or(platform.entry, |view| view.entry);
    Ok(Explanation {
        outcome,
        candidates: candidates(state.facts(&own.entry, &platform), ask),
        revision: own.entry.revision,
    })
}
