//! ResolveCredentials: whose key, which model, where, and who pays; with the credential.
//!
//! Invariants: answered from memory while that is fresh; no provider is asked. The key is opened for this call and
//! belongs to the answer alone. A lease never outlasts `validated_at` + lease + 5 s, so that a degraded answer is a
//! short one.
//!
//! Absent: any second choice. A refusal is the answer.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{AppState, KeySource, ResolutionView};
use crate::audit;
use crate::domain::{
    admitted::Admitted,
    audit::HandedOut,
    error::{Error, Reason},
    names::{Scope, WorkspaceId},
    resolution::{Ask, Decision, Grant, decide},
    secret::ApiKey,
};

/// What a lease may exceed the moment of validation by, beside its own length.
const SLACK: Duration = Duration::from_secs(5);

/// A granted call.
#[derive(Debug)]
pub struct Resolved {
    /// The decision.
    pub resolution: ResolutionView,
    /// The secret; none for a local model.
    pub api_key: Option<ApiKey>,
    /// How long it may be used.
    pub lease: Lease,
    /// The database did not answer; the decision rests on what was known.
    pub degraded: bool,
    /// Names this answer.
    pub resolution_id: Uuid,
}

/// How long an answer may be used, from when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Until then.
    pub ttl: Duration,
    /// Ask again from here on.
    pub refresh_after: Duration,
}

/// Decides one call and opens its key.
pub async fn resolve_credentials(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
) -> Result<Resolved, Error> {
    state.admit_purpose(workspace.caller(), &ask.purpose)?;
    let (own, platform) = state.known(workspace, &ask.purpose).await?;
    let decision = decide(state.facts(&own.entry, &platform.entry), ask)?;
    let scope = match decision.grant {
        Grant::Byo(..) => workspace.scope(),
        Grant::Local | Grant::Free(_) | Grant::Credits(..) => Scope::Platform,
    };
    let api_key = match decision.grant.key() {
        Some(key) => Some(
            state
                .keyring
                .open_key(&scope, &decision.provider.name, key)
                .await?,
        ),
        None => None,
    };
    let resolved = Resolved {
        resolution: ResolutionView::new(&decision, &state.catalog),
        api_key,
        lease: lease(state, own.validated_at.min(platform.validated_at))?,
        degraded: own.degraded || platform.degraded,
        resolution_id: Uuid::now_v7(),
    };
    put_on_record(state, workspace, ask, &decision, &resolved).await?;
    Ok(resolved)
}

/// What is granted is a line first, and what is handed out is counted.
async fn put_on_record(
    state: &AppState,
    workspace: &Admitted<WorkspaceId>,
    ask: &Ask,
    decision: &Decision<'_>,
    resolved: &Resolved,
) -> Result<(), Error> {
    let key = &resolved.resolution;
    let line = audit::Resolved {
        actor: Arc::clone(workspace.caller()),
        workspace: WorkspaceId::clone(workspace),
        purpose: ask.purpose.clone(),
        provider: decision.provider.name.clone(),
        model: decision.model.clone(),
        billing: decision.grant.billing_mode(),
        key_source: match key.source {
            KeySource::None => "none",
            KeySource::Workspace => "workspace",
            KeySource::Platform => "platform",
        },
        key_id: key.key_id,
        generation: key.generation,
        degraded: resolved.degraded,
        resolution_id: resolved.resolution_id,
    };
    state.audit.resolved(line).await?;
    if let Grant::Byo(key, _) = decision.grant {
        let (provider, generation) = (&decision.provider.name, key.generation);
        let handed_out = HandedOut {
            workspace,
            provider,
            generation,
            caller: &workspace.caller().subject,
        };
        state.audit.handed_out(key.key_id, &handed_out);
    }
    Ok(())
}

fn lease(state: &AppState, validated_at: Duration) -> Result<Lease, Error> {
    let latest = validated_at
        .saturating_add(state.lease)
        .saturating_add(SLACK);
    let ttl = state
        .lease
        .min(latest.saturating_sub(state.clock.elapsed()));
    if ttl.is_zero() {
        return Err(Error::new(
            Reason::StoreUnavailable,
            "what is known is too old to lease; try again",
        )
        .retry_after(Duration::from_secs(1)));
    }
    Ok(Lease {
        ttl,
        refresh_after: ttl.checked_div(2).unwrap_or(ttl),
    })
}
