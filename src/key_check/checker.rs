//! Running a key check.
//!
//! Invariants: a bounded number of key checks runs at once; each is a span and a metric.
//!
//! Not here: the refusal of a key (`storable`), another host of the provider (`checked_key`).

use std::{sync::Arc, time::Instant};

use time::OffsetDateTime;
use tracing::{Instrument as _, Span};
use url::Url;

use super::{limits::CheckLimiter, storable::storable};
use crate::{
    domain::{
        catalog::{Catalog, Provider},
        change::ModelsLearnt,
        clock::Clock,
        error::Error,
        models::ModelList,
        names::ProviderName,
        protocol::Protocol,
        resolution::provider_unknown,
        secret::ApiKey,
        verdict::Finding,
        workspace::{Binding, Listing},
    },
    provider::{CheckOutcome, ListOutcome, ProbeTarget, Providers},
    telemetry::{metrics, trace},
};

/// A key and the provider to check it with.
#[derive(Clone, Copy)]
pub struct KeyCheck<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// The key.
    pub key: &'a ApiKey,
    /// The base URL and headers to send it with.
    pub binding: &'a Binding,
    /// The id to generate with; `None`: the catalog's candidates.
    pub probe_model: Option<&'a str>,
}

/// Runs key checks.
pub struct KeyChecker {
    providers: Providers,
    catalog: Arc<Catalog>,
    limiter: CheckLimiter,
    pub(super) clock: Clock,
}

impl KeyChecker {
    /// No key check has been counted yet.
    pub fn new(
        providers: Providers,
        catalog: Arc<Catalog>,
        limiter: CheckLimiter,
        clock: Clock,
    ) -> Self {
        Self {
            providers,
            catalog,
            limiter,
            clock,
        }
    }

    /// The limits of key checks.
    pub fn limiter(&self) -> &CheckLimiter {
        &self.limiter
    }

    /// Finds a configured provider that has keys.
    pub fn provider(&self, name: &ProviderName) -> Result<&Provider, Error> {
        let provider = self.catalog.providers.get(name);
        let provider = provider.ok_or_else(|| provider_unknown(name))?;
        match provider.protocol {
            Protocol::Local => Err(Error::field("provider", "is local and has no keys")),
            Protocol::Openai | Protocol::Anthropic => Ok(provider),
        }
    }

    /// Refuses a key whose form shows that it is not of this provider. Calls nothing.
    pub(super) fn check_form(&self, check: KeyCheck<'_>) -> Result<(), Error> {
        let base_url = parsed(&check.binding.base_url)?;
        let hint = self.providers.key_hint(&check.target(&base_url), check.key);
        hint.map_or(Ok(()), |verdict| {
            storable(verdict, check.provider, None, false)
        })
    }

    /// Runs the list probe and the generation probes.
    pub async fn run(&self, check: KeyCheck<'_>) -> Result<CheckOutcome, Error> {
        let _permit = self.limiter.enter()?;
        let base_url = parsed(&check.binding.base_url)?;
        let (provider, today) = (check.provider, self.clock.now().date());
        let candidates = self.catalog.candidates(provider, today);
        let sold = self.catalog.sold(provider);
        let (target, span) = (check.target(&base_url), check.span("check_key"));
        let began = Instant::now();
        let probes =
            self.providers
                .check(&target, check.key, &candidates, &sold, check.probe_model);
        let checked = probes.instrument(span.clone()).await;
        let verdict = checked.verdict.as_str();
        metrics::checked(provider.name.as_str(), verdict, began.elapsed());
        span.record("byokd.verdict", verdict);
        Ok(checked)
    }

    /// Runs the list probe alone. A provider that does not answer teaches nothing.
    pub async fn list(&self, check: KeyCheck<'_>) -> Result<ModelsLearnt, Error> {
        let _permit = self.limiter.enter()?;
        let base_url = parsed(&check.binding.base_url)?;
        let target = check.target(&base_url);
        let probe = self.providers.list(&target, check.key);
        Ok(match probe.instrument(check.span("list_models")).await {
            ListOutcome::Models(models) => listed(models, self.clock.now()),
            ListOutcome::Hidden => ModelsLearnt::Hidden,
            ListOutcome::Failed(_) => ModelsLearnt::Nothing,
        })
    }
}

impl KeyCheck<'_> {
    fn span(&self, name: &'static str) -> Span {
        let provider = self.provider.name.as_str();
        trace::part!(
            name,
            "client",
            "byokd.provider" = provider,
            "byokd.verdict" = tracing::field::Empty
        )
    }

    fn target<'t>(&'t self, base_url: &'t Url) -> ProbeTarget<'t> {
        ProbeTarget {
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

fn listed(models: Vec<String>, now: OffsetDateTime) -> ModelsLearnt {
    ModelsLearnt::Listed(Listing {
        models: Arc::new(ModelList::new(models)),
        as_of: now,
    })
}

/// The models that a key check found. Some providers list for any key: the list of a refused key says nothing.
pub fn models_learnt(checked: &CheckOutcome, now: OffsetDateTime) -> ModelsLearnt {
    match (&checked.models, checked.verdict.finding()) {
        (None, Finding::Works) => ModelsLearnt::Hidden,
        (Some(models), Finding::Works | Finding::Recognised) => listed(models.clone(), now),
        _ => ModelsLearnt::Nothing,
    }
}
