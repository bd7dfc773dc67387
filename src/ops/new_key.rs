//! A key that a caller brings: from the request to a tested key that may be stored.
//!
//! Invariants: validated before anything is replaced; bound to exactly one of the provider's hosts and to allowed
//! headers only; sealed under the lock that fixed its generation.
//!
//! Absent: who brings it. `set_key` and `set_platform_key` do.

use std::collections::BTreeMap;

use url::Url;
use uuid::Uuid;

use super::{
    AppState, ChangeMeta, KeyView,
    check_key::{self, KeyTest, models_learnt},
    sealing::Sealing,
};
use crate::domain::{
    caller::Caller,
    catalog::Provider,
    change::{Draft, ModelsLearnt},
    error::{Error, Reason},
    names::{OnBehalfOf, ProviderName},
    secret::{ApiKey, looks_like_key},
    verdict::{Finding, Health, Verdict},
    workspace::{Binding, Listing, StoredKey},
};

const MAX_HEADER_VALUE: usize = 256;

/// What `SetKey` and `SetPlatformKey` have in common.
#[derive(Debug)]
pub struct NewKey {
    /// The provider.
    pub provider: ProviderName,
    /// The key.
    pub api_key: ApiKey,
    /// One of the provider's hosts; empty: its first.
    pub base_url: String,
    /// By name.
    pub headers: BTreeMap<String, String>,
    /// Test only.
    pub validate_only: bool,
    /// Store also what could not be tested.
    pub allow_unverified: bool,
    /// What every change may carry.
    pub meta: ChangeMeta,
}

impl NewKey {
    /// What makes this request this change; the key goes into an HMAC only.
    pub(super) fn fields(&self) -> Vec<&str> {
        let flag = |set| if set { "1" } else { "0" };
        let mut fields = vec![
            self.provider.as_str(),
            self.api_key.expose(),
            &self.base_url,
            flag(self.validate_only),
            flag(self.allow_unverified),
        ];
        fields.extend(
            self.headers
                .iter()
                .flat_map(|(name, value)| [name.as_str(), value.as_str()]),
        );
        fields
    }

    /// Where the key would be bound to.
    fn binding(&self, provider: &Provider) -> Result<Binding, Error> {
        let not_allowed = || {
            Error::new(
                Reason::BaseUrlNotAllowed,
                format!(
                    "base_url must be exactly one of: {}",
                    provider.hosts.join(", ")
                ),
            )
            .in_field("base_url")
        };
        let base_url = match self.base_url.as_str() {
            "" => provider.hosts.first().ok_or_else(not_allowed)?.clone(),
            named => provider
                .hosts
                .iter()
                .find(|host| *host == named)
                .ok_or_else(not_allowed)?
                .clone(),
        };
        let mut headers = BTreeMap::new();
        for (name, value) in &self.headers {
            let allowed = provider
                .headers
                .iter()
                .find(|allowed| allowed.eq_ignore_ascii_case(name));
            let allowed = allowed.ok_or_else(|| {
                Error::field("headers", "may only name headers that the catalog allows")
            })?;
            if value.is_empty()
                || value.len() > MAX_HEADER_VALUE
                || !value.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(Error::field(
                    "headers",
                    "must have values of 1 to 256 printable ASCII characters",
                ));
            }
            if looks_like_key(value) {
                return Err(Error::field(
                    "headers",
                    "hold what looks like a key; it goes into `api_key` alone",
                ));
            }
            if headers.insert(allowed.clone(), value.clone()).is_some() {
                return Err(Error::field("headers", "may name a header only once"));
            }
        }
        Ok(Binding { base_url, headers })
    }
}

/// A key whose fields are good: a configured provider, an allowed host and headers, the right kind.
pub(super) struct Proposed<'p> {
    pub(super) provider: &'p Provider,
    pub(super) new: NewKey,
    binding: Binding,
}

impl NewKey {
    /// Judges the fields; nothing is called and nothing read.
    pub(super) fn propose(self, state: &AppState) -> Result<Proposed<'_>, Error> {
        let provider = state.provider_with_keys(&self.provider)?;
        let binding = self.binding(provider)?;
        KeyTest {
            provider,
            key: &self.api_key,
            binding: &binding,
            probe_model: None,
        }
        .right_kind(state)?;
        Ok(Proposed {
            provider,
            new: self,
            binding,
        })
    }
}

/// A key that was tested and may be stored.
pub(super) struct TestedKey {
    api_key: ApiKey,
    provider: ProviderName,
    binding: Binding,
    pub(super) verdict: Verdict,
    pub(super) models: Option<Listing>,
    health: Health,
    on_behalf_of: OnBehalfOf,
    set_by: String,
}

impl Proposed<'_> {
    /// Tests the key; a data-residency key once more on the host that the provider names, if that is exactly one of the
    /// catalog's and the caller named none. A refusal changes nothing.
    pub(super) async fn test(self, state: &AppState, caller: &Caller) -> Result<TestedKey, Error> {
        let Self {
            provider,
            new,
            mut binding,
        } = self;
        let key = &new.api_key;
        let mut checked = KeyTest {
            provider,
            key,
            binding: &binding,
            probe_model: None,
        }
        .run(state)
        .await?;
        if checked.verdict.finding() == Finding::WrongHost
            && new.base_url.is_empty()
            && let Some(host) = checked
                .named_host
                .as_deref()
                .and_then(|named| allowed_host(provider, named))
        {
            binding.base_url.clone_from(host);
            checked = KeyTest {
                provider,
                key,
                binding: &binding,
                probe_model: None,
            }
            .run(state)
            .await?;
        }
        check_key::storable(&checked, provider, new.allow_unverified)?;
        let now = state.clock.now();
        Ok(TestedKey {
            health: Health::new_saved(Some(checked.verdict), now),
            verdict: checked.verdict,
            models: match models_learnt(&checked, now) {
                ModelsLearnt::Listed(listing) => Some(listing),
                ModelsLearnt::Hidden | ModelsLearnt::Nothing => None,
            },
            provider: new.provider,
            binding,
            api_key: new.api_key,
            on_behalf_of: new.meta.on_behalf_of,
            set_by: caller.subject.clone(),
        })
    }
}

/// The provider's allowed base URL on the host that it named, if there is exactly such a one.
fn allowed_host<'p>(provider: &'p Provider, named: &str) -> Option<&'p String> {
    provider
        .hosts
        .iter()
        .find(|host| Url::parse(host).is_ok_and(|url| url.host_str() == Some(named)))
}

impl TestedKey {
    /// The key as a validate-only call answers it.
    pub(super) fn view(&self, state: &AppState) -> KeyView {
        KeyView {
            provider: self.provider.to_string(),
            key_id: None,
            masked: self.api_key.masked(),
            generation: 0,
            badge: self.health.badge(&state.policy.condemnation),
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

    /// Seals the key in its place and makes it the active one.
    pub(super) fn store(self, draft: &mut Draft, sealing: &Sealing) -> Result<StoredKey, Error> {
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
