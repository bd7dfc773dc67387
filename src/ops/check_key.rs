//! A test call, and what its verdict means for the one who asked.
//!
//! Invariants: limits were counted before (`limits`); a bounded number of test calls runs at once. What a provider
//! says is told in our own words only.
//!
//! Absent: what a stored key's verdicts add up to (`domain::health`), and trying another host (`new_key`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use tracing::{Instrument as _, Span};
use url::Url;

use super::AppState;
use crate::{
    domain::{
        catalog::Provider,
        change::ModelsLearnt,
        error::{Error, Reason},
        models::ModelList,
        secret::ApiKey,
        verdict::{Finding, Verdict},
        workspace::{Binding, Listing},
    },
    provider::{CheckOutcome, ListOutcome, ProbeTarget},
    telemetry::{metrics, trace},
};

/// A test call to make.
#[derive(Clone, Copy)]
pub(super) struct KeyTest<'a> {
    pub(super) provider: &'a Provider,
    pub(super) key: &'a ApiKey,
    pub(super) binding: &'a Binding,
    /// Generate on this id instead of the catalog's candidates.
    pub(super) probe_model: Option<&'a str>,
}

impl KeyTest<'_> {
    /// Refuses a key whose form alone shows that it is not one of this provider; nothing is called.
    pub(super) fn right_kind(&self, state: &AppState) -> Result<(), Error> {
        let base_url = parsed(&self.binding.base_url)?;
        match state.providers.key_hint(&self.target(&base_url), self.key) {
            Some(verdict) => Err(refusal(verdict, self.provider, None)),
            None => Ok(()),
        }
    }

    /// Tests the key where it is bound to.
    pub(super) async fn run(&self, state: &AppState) -> Result<CheckOutcome, Error> {
        let _place = state.limiter.enter()?;
        let base_url = parsed(&self.binding.base_url)?;
        let candidates = state
            .catalog
            .candidates(self.provider, state.clock.now().date());
        let sold = state.catalog.sold(self.provider);
        let target = self.target(&base_url);
        let began = Instant::now();
        let span = self.span("check_key");
        let check = state
            .providers
            .check(&target, self.key, &candidates, &sold, self.probe_model);
        let checked = check.instrument(span.clone()).await;
        metrics::checked(
            self.provider.name.as_str(),
            checked.verdict.as_str(),
            began.elapsed(),
        );
        span.record("byokd.verdict", checked.verdict.as_str());
        Ok(checked)
    }

    /// Asks for the key's model list alone.
    pub(super) async fn list(&self, state: &AppState) -> Result<ListOutcome, Error> {
        let _place = state.limiter.enter()?;
        let base_url = parsed(&self.binding.base_url)?;
        let target = self.target(&base_url);
        let list = state.providers.list(&target, self.key);
        Ok(list.instrument(self.span("list_models")).await)
    }

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

/// A list as it is stored.
pub(super) fn listing(models: Vec<String>, now: OffsetDateTime) -> Listing {
    Listing {
        models: Arc::new(ModelList::new(models)),
        as_of: now,
    }
}

/// What a test call taught about the models of a stored key. Some providers list for anybody: the list of a key that
/// was refused says nothing.
pub(super) fn models_learnt(checked: &CheckOutcome, now: OffsetDateTime) -> ModelsLearnt {
    match (&checked.models, checked.verdict.finding()) {
        (None, Finding::Works) => ModelsLearnt::Hidden,
        (Some(models), Finding::Works | Finding::Recognised) => {
            ModelsLearnt::Listed(listing(models.clone(), now))
        }
        _ => ModelsLearnt::Nothing,
    }
}

/// Whether a key with this verdict may be stored.
pub(super) fn storable(
    checked: &CheckOutcome,
    provider: &Provider,
    allow_unverified: bool,
) -> Result<(), Error> {
    match checked.verdict.finding() {
        Finding::Works | Finding::Recognised => Ok(()),
        Finding::NothingLearnt if allow_unverified => Ok(()),
        Finding::NothingLearnt | Finding::Refused | Finding::WrongKind | Finding::WrongHost => {
            Err(refusal(checked.verdict, provider, checked.retry_after))
        }
    }
}

fn refusal(verdict: Verdict, provider: &Provider, retry_after: Option<Duration>) -> Error {
    let name = &provider.name;
    let error = |reason, what: String| {
        Error::new(reason, format!("{what}. {}", verdict.advice()))
            .with("provider", name.as_str())
            .with("verdict", verdict.as_str())
    };
    match verdict.finding() {
        Finding::WrongKind => {
            let what = format!("this is not an API key of {name}, and it was sent nowhere");
            error(Reason::KeyWrongKind, what).in_field("api_key")
        }
        Finding::WrongHost => {
            let what =
                format!("{name} serves this key on another of its hosts; nothing was stored");
            error(Reason::BaseUrlNotAllowed, what).in_field("base_url")
        }
        Finding::NothingLearnt => {
            let what = format!(
                "the test call to {name} taught nothing about the key; nothing was stored (allow_unverified stores it)"
            );
            let error = error(Reason::ProviderUnreachable, what);
            match (verdict, retry_after) {
                (_, Some(delay)) => error.retry_after(delay),
                (Verdict::ProviderDown | Verdict::Unreachable, None) => {
                    error.retry_after(Duration::from_secs(5))
                }
                // A retry does not help where an answer came and was of the wrong kind.
                _ => error,
            }
        }
        Finding::Refused | Finding::Works | Finding::Recognised => {
            let what = format!("{name} refused the key; nothing was stored");
            error(Reason::KeyRejected, what).in_field("api_key")
        }
    }
}
