//! A new key, from its checked fields to a checked key that may be stored.
//!
//! Invariants: a key is sealed under the lock that fixed its generation.
//!
//! Not here: the holder of the key (`ops::set_key`, `ops::set_platform_key`).

use url::Url;
use uuid::Uuid;

use super::{
    checker::{KeyCheck, KeyChecker, models_learnt},
    new_key::NewKey,
    storable::storable,
};
use crate::{
    change::Sealing,
    domain::{
        caller::Caller,
        catalog::Provider,
        change::{Draft, ModelsLearnt},
        error::Error,
        names::{OnBehalfOf, ProviderName},
        secret::ApiKey,
        verdict::{Condemnation, Finding, Health, Verdict},
        workspace::{Binding, Listing, StoredKey},
    },
    view::KeyView,
};

/// A new key whose fields are valid: a configured provider, an allowed host and headers, a key of this provider.
pub struct KeyProposal<'p> {
    /// The provider.
    pub provider: &'p Provider,
    new: NewKey,
    binding: Binding,
}

/// A key that was checked and may be stored.
pub struct CheckedKey {
    /// The verdict of the key check.
    pub verdict: Verdict,
    /// The models that the key lists; `None`: hidden or unknown.
    pub models: Option<Listing>,
    api_key: ApiKey,
    provider: ProviderName,
    binding: Binding,
    health: Health,
    on_behalf_of: OnBehalfOf,
    set_by: String,
}

impl NewKey {
    /// Checks the fields; calls nothing and reads nothing.
    pub fn propose(self, checker: &KeyChecker) -> Result<KeyProposal<'_>, Error> {
        let provider = checker.provider(&self.provider)?;
        let proposal = KeyProposal {
            provider,
            binding: self.binding(provider)?,
            new: self,
        };
        checker.check_form(proposal.key_check())?;
        Ok(proposal)
    }
}

impl KeyProposal<'_> {
    fn key_check(&self) -> KeyCheck<'_> {
        KeyCheck {
            provider: self.provider,
            key: &self.new.api_key,
            binding: &self.binding,
            probe_model: None,
        }
    }

    /// Checks the key. If the provider names another host, the key is checked once more there: only if the catalog allows
    /// exactly that host and the caller named none.
    pub async fn check(
        mut self,
        checker: &KeyChecker,
        caller: &Caller,
    ) -> Result<CheckedKey, Error> {
        let mut checked = checker.run(self.key_check()).await?;
        if checked.verdict.finding() == Finding::WrongHost
            && self.new.base_url.is_empty()
            && let Some(named) = &checked.named_host
            && let Some(host) = allowed_host(self.provider, named)
        {
            self.binding.base_url.clone_from(host);
            checked = checker.run(self.key_check()).await?;
        }
        let (verdict, retry_after) = (checked.verdict, checked.retry_after);
        storable(
            verdict,
            self.provider,
            retry_after,
            self.new.allow_unverified,
        )?;
        let now = checker.clock.now();
        Ok(CheckedKey {
            health: Health::new_saved(Some(verdict), now),
            verdict,
            models: match models_learnt(&checked, now) {
                ModelsLearnt::Listed(listing) => Some(listing),
                ModelsLearnt::Hidden | ModelsLearnt::Nothing => None,
            },
            provider: self.new.provider,
            binding: self.binding,
            api_key: self.new.api_key,
            on_behalf_of: self.new.meta.on_behalf_of,
            set_by: caller.subject.clone(),
        })
    }
}

/// The provider's allowed base URL on this host.
fn allowed_host<'p>(provider: &'p Provider, named: &str) -> Option<&'p String> {
    let on_host = |url: &String| Url::parse(url).is_ok_and(|url| url.host_str() == Some(named));
    provider.hosts.iter().find(|url| on_host(url))
}

impl CheckedKey {
    /// The key as the answer of a validate-only call.
    pub fn view(&self, condemnation: &Condemnation) -> KeyView {
        KeyView {
            provider: self.provider.to_string(),
            key_id: None,
            masked: self.api_key.masked(),
            generation: 0,
            badge: self.health.badge(condemnation),
            verdict: self.health.verdict,
            checked_at: self.health.checked_at,
            verified_at: self.health.verified_at,
            base_url: self.binding.base_url.clone(),
            headers: self.binding.headers.clone(),
            set_by: String::new(),
            on_behalf_of: String::new(),
            set_at: None,
        }
    }

    /// Seals the key and makes it the active one of its provider.
    pub fn store(self, draft: &mut Draft, sealing: &Sealing) -> Result<StoredKey, Error> {
        let (key_id, generation) = (Uuid::now_v7(), draft.next_generation(&self.provider));
        let sealed = sealing.seal(
            &self.provider,
            key_id,
            generation,
            &self.binding,
            &self.api_key,
        )?;
        let key = StoredKey {
            key_id,
            generation,
            masked: self.api_key.masked(),
            binding: self.binding,
            health: self.health,
            models: self.models,
            set_by: self.set_by,
            on_behalf_of: self.on_behalf_of,
            set_at: sealing.now(),
            sealed: sealed.into(),
        };
        draft.put_key(self.provider, key.clone());
        Ok(key)
    }
}
