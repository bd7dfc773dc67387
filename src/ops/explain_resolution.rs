//! ExplainResolution: the same decision without the secret, and why each other candidate was not taken.
//!
//! Invariant: it asks the very function that `resolve_credentials` asks, of the very same facts.
//!
//! Absent: opening any key.

use super::{Parts, ResolutionView};
use crate::domain::{
    error::Error,
    names::WorkspaceId,
    principal::Principal,
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
    parts: &Parts,
    caller: &Principal,
    workspace: &WorkspaceId,
    ask: &Ask,
) -> Result<Explanation, Error> {
    parts.admit_purpose(caller, &ask.purpose)?;
    let (own, platform) = parts.known(workspace, &ask.purpose).await?;
    let outcome = decide(parts.facts(&own.entry, &platform.entry), ask)
        .map(|decision| ResolutionView::new(&decision, &parts.catalog));
    // The platform's key is told of as one that was not taken, too, if it can be read.
    let platform = parts.directory.platform().await.map_or(platform.entry, |view| view.entry);
    Ok(Explanation {
        outcome,
        candidates: candidates(parts.facts(&own.entry, &platform), ask),
        revision: own.entry.revision,
    })
}
