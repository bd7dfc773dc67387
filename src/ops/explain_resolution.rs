//! ExplainResolution: the decision without the secret, and why each other candidate was not taken.
//!
//! Invariants: it calls the function that ResolveCredentials calls, with the same facts. It opens no key.

use crate::{
    app_state::AppState,
    domain::{
        admitted::Admitted,
        error::Error,
        names::WorkspaceId,
        resolution::{Ask, Candidate, candidates, decide},
    },
    view::ResolutionView,
};

/// A decision, explained.
#[derive(Debug)]
pub struct Explanation {
    /// The decision, or the refusal.
    pub outcome: Result<ResolutionView, Error>,
    /// The candidates that were not taken.
    pub candidates: Vec<Candidate>,
    /// The workspace's revision.
    pub revision: u64,
}

/// Explains the decision about one call.
pub async fn explain_resolution(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
) -> Result<Explanation, Error> {
    state.admit_purpose(workspace.caller(), &ask.purpose)?;
    let (own, platform) = state.cached_holders(workspace, &ask.purpose).await?;
    let outcome = decide(state.facts(&own.entry, &platform.entry), ask)
        .map(|decision| ResolutionView::new(&decision, &state.catalog));
    // The platform's key is a candidate, too, if it can be read.
    let platform = match state.cache.platform().await {
        Ok(view) => view.entry,
        Err(_) => platform.entry,
    };
    Ok(Explanation {
        outcome,
        candidates: candidates(state.facts(&own.entry, &platform), ask),
        revision: own.entry.revision,
    })
}
