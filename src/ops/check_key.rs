//! A test call, and what its verdict means for the one who asked.
//!
//! Invariants: limits are counted before the provider is reached. A data-residency key is tested once more on the host
//! that the provider named, only if that is exactly one of the catalog's and the caller named none.
//!
//! Absent: what a stored key's verdicts add up to (`domain::health`).

use std::sync::Arc;

use time::OffsetDateTime;
use url::Url;

use super::Parts;
use crate::{
    domain::{
        catalog::Provider,
        error::{Error, Reason},
        models::ModelList,
        names::Scope,
        principal::Principal,
        secret::ApiKey,
        verdict::{Finding, Verdict},
        workspace::{Binding, Listing},
    },
    provider::{Checked, Listed, Target},
};

/// A test call to make.
pub(super) struct KeyTest<'a> {
    pub(super) scope: &'a Scope,
    pub(super) caller: &'a Principal,
    pub(super) provider: &'a Provider,
    pub(super) key: &'a ApiKey,
    pub(super) binding: &'a Binding,
    /// Generate on this id instead of the catalog's candidates.
    pub(super) probe_model: Option<&'a str>,
}

impl KeyTest<'_> {
    /// Tests the key where it is bound to.
    pub(super) async fn run(&self, parts: &Parts) -> Result<Checked, Error> {
        let base_url = parsed(&self.binding.base_url)?;
        let target = self.target(&base_url);
        if let Some(verdict) = parts.providers.key_hint(&target, self.key) {
            return Ok(Checked { verdict, models: None, named_host: None, retry_after: None });
        }
        parts.limiter.admit(self.scope, self.caller, &self.provider.name)?;
        let candidates = parts.catalog.candidates(self.provider, parts.clock.now().date());
        let sold = parts.catalog.sold(self.provider);
        Ok(parts.providers.check(&target, self.key, &candidates, &sold, self.probe_model).await)
    }

    /// Asks for the key's model list alone.
    pub(super) async fn list(&self, parts: &Parts) -> Result<Listed, Error> {
        let base_url = parsed(&self.binding.base_url)?;
        parts.limiter.admit(self.scope, self.caller, &self.provider.name)?;
        Ok(parts.providers.list(&self.target(&base_url), self.key).await)
    }

    fn target<'t>(&'t self, base_url: &'t Url) -> Target<'t> {
        Target {
            provider: self.provider.name.as_str(),
            protocol: self.provider.protocol,
            base_url,
            headers: &self.binding.headers,
        }
    }
}

fn parsed(base_url: &str) -> Result<Url, Error> {
    Url::parse(base_url).map_err(Error::internal)
}

/// The provider's allowed base URL on the host that it named, if there is exactly such a one.
pub(super) fn allowed_host<'p>(provider: &'p Provider, named: &str) -> Option<&'p String> {
    provider.hosts.iter().find(|host| Url::parse(host).is_ok_and(|url| url.host_str() == Some(named)))
}

/// A list as it is stored.
pub(super) fn listing(models: Vec<String>, now: OffsetDateTime) -> Listing {
    Listing { models: Arc::new(ModelList::new(models)), as_of: now }
}

/// Whether a key with this verdict may be stored; the refusal says what the provider found, in our words only.
pub(super) fn storable(checked: &Checked, provider: &Provider, allow_unverified: bool) -> Result<(), Error> {
    let verdict = checked.verdict;
    let error = |reason, what: &str| {
        Error::new(reason, format!("{what}. {}", verdict.mend()))
            .with("provider", provider.name.as_str())
            .with("verdict", verdict.as_str())
    };
    let retried = |error: Error| match checked.retry_after {
        Some(delay) => error.retry_after(delay),
        None => error.retry_after(std::time::Duration::from_secs(5)),
    };
    match verdict.finding() {
        Finding::Works | Finding::Recognised => Ok(()),
        Finding::Refused => {
            Err(error(Reason::KeyRejected, &format!("{} refused the key; nothing was stored", provider.name))
                .in_field("api_key"))
        }
        Finding::WrongKind => Err(error(
            Reason::KeyWrongKind,
            &format!(
                "this is not an API key of {}; it was not sent anywhere it does not belong",
                provider.name
            ),
        )
        .in_field("api_key")),
        Finding::WrongHost => Err(error(
            Reason::BaseUrlNotAllowed,
            &format!("{} serves this key on another host, which the catalog does not allow", provider.name),
        )
        .in_field("base_url")),
        Finding::NothingLearnt if allow_unverified => Ok(()),
        Finding::NothingLearnt => Err(retried(error(
            Reason::ProviderUnreachable,
            &format!(
                "the test call to {} taught nothing about the key; nothing was stored (allow_unverified stores it)",
                provider.name
            ),
        ))),
    }
}

/// What a test call of a stored key taught; one that taught nothing is an answer, too.
pub(super) fn verdict_of(listed: Listed) -> Result<Option<Vec<String>>, Verdict> {
    match listed {
        Listed::Models(models) => Ok(Some(models)),
        Listed::Hidden => Ok(None),
        Listed::Failed(verdict) => Err(verdict),
    }
}
