//! From the operations' answers to messages.
//!
//! Invariant: a key in the clear enters one message, `Credential`, in one function.
//!
//! Not here: decisions. Every value was decided before.

use time::OffsetDateTime;

use crate::{
    contract::v1,
    domain::{
        error::Error,
        resolution::{BillingMode, Candidate},
        verdict::{Badge, Verdict},
    },
    ops::{Explanation, Lease, ResolveOutcome},
    view::{BillingView, KeySource, KeyView, ModelView, ResolutionView, WorkspaceView},
};

pub(super) fn resolved(resolved: ResolveOutcome) -> v1::ResolveCredentialsResponse {
    let v1::Resolution {
        provider,
        model,
        endpoint,
        billing,
        key,
        ..
    } = resolution(resolved.resolution);
    v1::ResolveCredentialsResponse {
        provider,
        model,
        endpoint,
        credential: resolved.api_key.map(|key| v1::Credential {
            api_key: key.expose().to_owned(),
        }),
        lease: Some(lease(resolved.lease)),
        billing,
        key,
        degraded: resolved.degraded,
        resolution_id: resolved.resolution_id.to_string(),
    }
}

pub(super) fn explained(explained: Explanation) -> v1::ExplainResolutionResponse {
    use v1::explain_resolution_response::Outcome;
    let outcome = match explained.outcome {
        Ok(granted) => Outcome::Resolution(resolution(granted)),
        Err(refused) => Outcome::Refusal(refusal(&refused)),
    };
    v1::ExplainResolutionResponse {
        outcome: Some(outcome),
        candidates: explained.candidates.into_iter().map(candidate).collect(),
        revision: explained.revision,
    }
}

fn refusal(error: &Error) -> v1::Refusal {
    v1::Refusal {
        reason: error.reason().as_str().to_owned(),
        message: error.message().to_owned(),
    }
}

fn candidate(candidate: Candidate) -> v1::Candidate {
    v1::Candidate {
        kind: candidate.kind.to_owned(),
        name: candidate.name,
        reason: candidate.reason,
    }
}

fn resolution(resolution: ResolutionView) -> v1::Resolution {
    v1::Resolution {
        provider: resolution.provider,
        model: resolution.model,
        family: resolution.family.unwrap_or_default(),
        endpoint: Some(v1::Endpoint {
            base_url: resolution.base_url,
            headers: resolution.headers.into_iter().collect(),
            auth_header: resolution.auth_header.to_owned(),
            auth_prefix: resolution.auth_prefix.to_owned(),
        }),
        billing: Some(billing(resolution.billing)),
        key: Some(v1::KeyReference {
            source: key_source(resolution.source).into(),
            key_id: resolution
                .key_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            generation: resolution.generation,
        }),
    }
}

fn billing(billing: BillingView) -> v1::Billing {
    v1::Billing {
        mode: billing_mode(billing.mode).into(),
        charge: billing.charge.map(|charge| v1::Charge {
            unit: charge.unit,
            micros_per_call: charge.micros_per_call,
            catalog_version: charge.catalog_version,
        }),
    }
}

fn lease(lease: Lease) -> v1::Lease {
    // A lease is at most 300 s long and cannot exceed the message's range.
    let duration = |length: std::time::Duration| prost_types::Duration::try_from(length).ok();
    v1::Lease {
        ttl: duration(lease.ttl),
        refresh_after: duration(lease.refresh_after),
    }
}

pub(super) fn workspace(workspace: WorkspaceView) -> v1::Workspace {
    v1::Workspace {
        workspace_id: workspace.workspace_id,
        byo_enabled: workspace.byo_enabled,
        providers: workspace
            .providers
            .into_iter()
            .map(|entry| v1::ProviderEntry {
                provider: entry.provider,
                key: entry.key.map(key),
                selected_model: entry.selected_model.unwrap_or_default(),
                configured: entry.configured,
            })
            .collect(),
        revision: workspace.revision,
    }
}

pub(super) fn key(key: KeyView) -> v1::Key {
    v1::Key {
        provider: key.provider,
        key_id: key.key_id.map(|id| id.to_string()).unwrap_or_default(),
        masked: key.masked,
        generation: key.generation,
        badge: badge(key.badge).into(),
        verdict: key.verdict.map_or(v1::Verdict::Unspecified, verdict).into(),
        checked_at: key.checked_at.map(timestamp),
        verified_at: key.verified_at.map(timestamp),
        base_url: key.base_url,
        headers: key.headers.into_iter().collect(),
        set_by: key.set_by,
        on_behalf_of: key.on_behalf_of,
        set_at: key.set_at.map(timestamp),
    }
}

pub(super) fn model(model: ModelView) -> v1::Model {
    v1::Model {
        in_catalog: model.family.is_some(),
        family: model.family.unwrap_or_default(),
        provider: model.provider,
        model: model.model,
        available: model.unavailable_reason.is_none(),
        unavailable_reason: model.unavailable_reason.unwrap_or_default(),
        selected: model.selected,
        billing: model.billing.map(billing),
        retires: model.retires.unwrap_or_default(),
        successor: model.successor.unwrap_or_default(),
    }
}

pub(super) fn timestamp(at: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        // Below 1,000,000,000 by definition.
        nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
    }
}

pub(super) fn verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Valid => v1::Verdict::Valid,
        Verdict::ValidListHidden => v1::Verdict::ValidListHidden,
        Verdict::NoFunds => v1::Verdict::NoFunds,
        Verdict::RateLimited => v1::Verdict::RateLimited,
        Verdict::ModelUnavailable => v1::Verdict::ModelUnavailable,
        Verdict::Invalid => v1::Verdict::Invalid,
        Verdict::InsufficientScope => v1::Verdict::InsufficientScope,
        Verdict::OrgProblem => v1::Verdict::OrgProblem,
        Verdict::WrongKind => v1::Verdict::WrongKind,
        Verdict::WrongHost => v1::Verdict::WrongHost,
        Verdict::NetworkPolicy => v1::Verdict::NetworkPolicy,
        Verdict::ProviderDown => v1::Verdict::ProviderDown,
        Verdict::Unreachable => v1::Verdict::Unreachable,
        Verdict::Unexpected => v1::Verdict::Unexpected,
    }
}

fn badge(badge: Badge) -> v1::Badge {
    match badge {
        Badge::Connected => v1::Badge::Connected,
        Badge::Limited => v1::Badge::Limited,
        Badge::Failing => v1::Badge::Failing,
        Badge::Rejected => v1::Badge::Rejected,
        Badge::Unverified => v1::Badge::Unverified,
    }
}

fn billing_mode(mode: BillingMode) -> v1::BillingMode {
    match mode {
        BillingMode::Credits => v1::BillingMode::Credits,
        BillingMode::Byo => v1::BillingMode::Byo,
        BillingMode::Unmetered => v1::BillingMode::Unmetered,
    }
}

fn key_source(source: KeySource) -> v1::KeySource {
    match source {
        KeySource::None => v1::KeySource::None,
        KeySource::Workspace => v1::KeySource::Workspace,
        KeySource::Platform => v1::KeySource::Platform,
    }
}
