//! ResolveCredentials: which key, which model, where, and who pays; with the credential.
//!
//! Invariants:
//! - Served from memory while that is fresh; no provider is called.
//! - The key is opened for this call and belongs to the answer alone.
//! - A lease ends at the latest at `validated_at` + lease + 5 s, so a degraded answer has a short one.
//!
//! Not here: any second choice. A refusal is the answer.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    app_state::AppState,
    audit,
    domain::{
        admitted::Admitted,
        audit::HandedOut,
        error::{Error, Reason},
        names::{Scope, WorkspaceId},
        resolution::{Ask, Decision, Grant, decide},
        secret::ApiKey,
    },
    view::ResolutionView,
};

/// The time by which a lease may outlast the validation of its facts, beside its own length.
const SLACK: Duration = Duration::from_secs(5);

/// A granted call.
#[derive(Debug)]
pub struct ResolveOutcome {
    /// The decision.
    pub resolution: ResolutionView,
    /// The secret; `None`: a local model.
    pub api_key: Option<ApiKey>,
    /// The lease of the answer.
    pub lease: Lease,
    /// Whether the database did not answer, so that the decision rests on cached facts.
    pub degraded: bool,
    /// The id of this answer.
    pub resolution_id: Uuid,
}

/// How long an answer may be used, counted from its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The length.
    pub ttl: Duration,
    /// The time from which the caller should resolve again.
    pub refresh_after: Duration,
}

/// Decides one call and opens its key.
pub async fn resolve_credentials(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
) -> Result<ResolveOutcome, Error> {
    state.admit_purpose(workspace.caller(), &ask.purpose)?;
    let (own, platform) = state.cached_holders(workspace, &ask.purpose).await?;
    let decision = decide(state.facts(&own.entry, &platform.entry), ask)?;
    let scope = match decision.grant {
        Grant::Byo(..) => workspace.scope(),
        Grant::Local | Grant::Free(_) | Grant::Credits(..) => Scope::Platform,
    };
    let api_key = match decision.grant.key() {
        Some(key) => {
            let provider = &decision.provider.name;
            Some(state.keyring.open_key(&scope, provider, key).await?)
        }
        None => None,
    };
    let outcome = ResolveOutcome {
        resolution: ResolutionView::new(&decision, &state.catalog),
        api_key,
        lease: lease(state, own.validated_at.min(platform.validated_at))?,
        degraded: own.degraded || platform.degraded,
        resolution_id: Uuid::now_v7(),
    };
    record(state, workspace, ask, &decision, &outcome).await?;
    Ok(outcome)
}

/// Writes the audit line, then counts the key as handed out.
async fn record(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
    decision: &Decision<'_>,
    outcome: &ResolveOutcome,
) -> Result<(), Error> {
    let (caller, provider) = (workspace.caller(), &decision.provider.name);
    let line = audit::Resolved {
        actor: Arc::clone(caller),
        workspace: WorkspaceId::clone(workspace),
        purpose: ask.purpose.clone(),
        provider: provider.clone(),
        model: decision.model.clone(),
        billing: decision.grant.billing_mode(),
        key_source: outcome.resolution.source.as_str(),
        key_id: outcome.resolution.key_id,
        generation: outcome.resolution.generation,
        degraded: outcome.degraded,
        resolution_id: outcome.resolution_id,
    };
    state.audit.resolved(line).await?;
    if let Grant::Byo(key, _) = decision.grant {
        let handed_out = HandedOut {
            workspace,
            provider,
            generation: key.generation,
            caller: &caller.subject,
        };
        state.audit.handed_out(key.key_id, &handed_out);
    }
    Ok(())
}

fn lease(state: &AppState, validated_at: Duration) -> Result<Lease, Error> {
    let end = validated_at
        .saturating_add(state.lease)
        .saturating_add(SLACK);
    let left = end.saturating_sub(state.clock.elapsed());
    let ttl = state.lease.min(left);
    if ttl.is_zero() {
        return Err(Error::new(
            Reason::StoreUnavailable,
            "the cached workspace is too old for a lease; try again",
        )
        .retry_after(Duration::from_secs(1)));
    }
    Ok(Lease {
        ttl,
        refresh_after: ttl.checked_div(2).unwrap_or(ttl),
    })
}
