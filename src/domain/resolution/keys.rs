//! The key of a holder for a provider, or the refusal (rows 3 to 8).
//!
//! Not here: a second choice. No function looks at the other holder.

use time::OffsetDateTime;

use super::{
    facts::Facts,
    model::ModelRequest,
    refusals::{endpoint_no_longer_allowed, key_damaged, model_unknown},
};
use crate::domain::{
    catalog::Provider,
    error::{Error, Reason},
    workspace::StoredKey,
};

/// Rows 3 to 5: the operator's key.
pub(super) fn platform_key<'a>(
    facts: Facts<'a>,
    provider: &Provider,
    wanted: &ModelRequest<'a>,
) -> Result<&'a StoredKey, Error> {
    if wanted.family().is_none() {
        return Err(model_unknown(
            wanted.name(),
            "the platform's keys serve models of the catalog only",
        ));
    }
    if facts.platform.damaged.contains(&provider.name) {
        return Err(key_damaged("the platform's key", &provider.name));
    }
    let key = facts.platform.keys.get(&provider.name).ok_or_else(|| {
        Error::new(
            Reason::PlatformKeyMissing,
            format!(
                "the platform has no key for {}; its operator sets one with SetPlatformKey",
                provider.name
            ),
        )
        .with("provider", provider.name.as_str())
    })?;
    still_allowed(key, provider)?;
    if key.health.condemned(&facts.policy.condemnation) {
        return Err(condemned(
            Reason::PlatformKeyRejected,
            "the platform's key",
            key,
            provider,
        ));
    }
    Ok(key)
}

/// Rows 6 to 8: the workspace's own key, or a refusal; never another's.
pub(super) fn workspace_key<'a>(
    facts: Facts<'a>,
    provider: &Provider,
) -> Result<&'a StoredKey, Error> {
    if facts.workspace.damaged.contains(&provider.name) {
        return Err(key_damaged("the workspace's key", &provider.name));
    }
    let key = facts.workspace.keys.get(&provider.name).ok_or_else(|| {
        Error::new(
            Reason::ByoKeyMissing,
            format!(
                "BYO is on and the workspace has no key for {0}; set one with SetKey, or switch BYO off",
                provider.name
            ),
        )
        .with("provider", provider.name.as_str())
    })?;
    still_allowed(key, provider)?;
    if key.health.condemned(&facts.policy.condemnation) {
        return Err(condemned(
            Reason::ByoKeyRejected,
            "the workspace's key",
            key,
            provider,
        ));
    }
    Ok(key)
}

/// Whether the catalog still allows what a key is bound to.
pub fn binding_allowed(key: &StoredKey, provider: &Provider) -> bool {
    let allowed = |name: &str| {
        provider
            .headers
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
    };
    provider.hosts.contains(&key.binding.base_url)
        && key.binding.headers.keys().all(|name| allowed(name))
}

fn still_allowed(key: &StoredKey, provider: &Provider) -> Result<(), Error> {
    if binding_allowed(key, provider) {
        return Ok(());
    }
    Err(endpoint_no_longer_allowed(&provider.name))
}

fn condemned(reason: Reason, whose: &str, key: &StoredKey, provider: &Provider) -> Error {
    let verdict = key.health.verdict.map_or("", |verdict| verdict.as_str());
    let when = key.health.checked_at.map(rfc3339).unwrap_or_default();
    Error::new(
        reason,
        format!(
            "{whose} for {} was refused by the provider again and again ({verdict}, last at {when}); set a new one, \
             or verify it once the provider accepts it",
            provider.name
        ),
    )
    .with("provider", provider.name.as_str())
    .with("verdict", verdict)
    .with("checked_at", when)
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}
