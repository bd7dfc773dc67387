//! Test calls: what a provider says of a key, and which models the key lists.
//!
//! Read `check` first, it is the recipe; `call` makes one call of it; `rules` says what an answer means;
//! `openai` and `anthropic` are the two protocols.
//!
//! Invariants:
//! - The key goes to the base URL that it was given for and nowhere else: no redirect, no proxy, no private address
//!   that the operator did not allow. A key that is plainly another vendor's goes nowhere at all.
//! - A check ends within its deadline, whatever the other side does.
//! - What a provider writes never leaves this module: a [`Checked`] holds our own words, model ids in a bounded
//!   alphabet, and at most a host name.
//! - Only definitive answers are verdicts on the key; everything else is "nothing learnt".
//!
//! Absent: storing anything, rate limits, the catalog, and re-probing on another host.

mod anthropic;
mod call;
mod check;
mod formats;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod list;
mod openai;
mod rules;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use reqwest::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    domain::{protocol::Protocol, secret::ApiKey, verdict::Verdict},
    egress::Egress,
};

/// Where a key is to be tested.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name in the catalog; it is logged.
    pub provider: &'a str,
    /// How to talk to it. [`Protocol::Local`] has no keys, and nothing is called.
    pub protocol: Protocol,
    /// Below which the protocol's paths are, as the vendor's SDK takes it.
    pub base_url: &'a Url,
    /// Fixed headers of the provider and those of the key (organisation, project). They cannot replace the
    /// protocol's own.
    pub headers: &'a BTreeMap<String, String>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it teaches about the key.
    pub verdict: Verdict,
    /// The ids that the key lists, sorted, each once; `None` if they are hidden or unknown. They can be there with
    /// any verdict: some providers list for anybody.
    pub models: Option<Vec<String>>,
    /// With [`Verdict::WrongHost`]: the host that the provider says the key belongs to, in lower case. It is the
    /// provider's word: compare it with the hosts that are allowed, and use those.
    pub named_host: Option<String>,
    /// How long the provider asks to be left alone, a day at the most; seldom with anything but
    /// [`Verdict::RateLimited`].
    pub retry_after: Option<Duration>,
}

/// What listing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOutcome {
    /// The ids that the key lists, sorted, each once.
    Models(Vec<String>),
    /// The key may not list, the provider has no list, or it is longer than is kept.
    Hidden,
    /// There was no list, for this reason.
    Failed(Verdict),
}

/// Why test calls cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tables that are built in cannot be read.
    #[error("the provider tables are broken: {0}")]
    Tables(#[from] toml::de::Error),
    /// No HTTP client, for want of TLS roots for example.
    #[error("no HTTP client for providers: {0}")]
    Client(#[from] reqwest::Error),
}

/// All providers; they differ by [`Target`] only.
pub struct Providers {
    egress: Arc<Egress>,
    client: reqwest::Client,
    deadline: Duration,
    rules: rules::Rules,
    formats: formats::Formats,
}

impl Providers {
    /// Reads the tables and makes the client. No call is made. `deadline` is for a whole check, all its calls together.
    ///
    /// # Errors
    /// If either is impossible; neither can happen later.
    pub fn new(egress: Egress, deadline: Duration) -> Result<Self, Error> {
        let egress = Arc::new(egress);
        let client = egress.client(None)?;
        let (rules, formats) = (rules::Rules::shipped()?, formats::Formats::shipped()?);
        Ok(Self {
            egress,
            client,
            deadline,
            rules,
            formats,
        })
    }

    /// [`Verdict::WrongKind`] if the key's form alone shows that it is not an API key of this provider: an admin
    /// key, an OAuth token, another vendor's key. Nothing is called.
    pub fn key_hint(&self, target: &Target<'_>, key: &ApiKey) -> Option<Verdict> {
        self.formats
            .foreign(target, key)
            .then_some(Verdict::WrongKind)
    }

    /// Tests a key: lists the models, then generates a few tokens on a model that the key lists and the catalog
    /// sells, all within the deadline. A key that [`Self::key_hint`] knows is not sent anywhere.
    ///
    /// `candidates` are the catalog's ids of this provider, best first, none of them retired; they are tried
    /// where the list does not help. `sold` are all ids and aliases that the catalog sells of this provider.
    /// `probe_model` is tried instead of all of them. Of several models the next is tried only if one is not
    /// available to the key, four at the most; with none to try the verdict is [`Verdict::ModelUnavailable`].
    pub async fn check(
        &self,
        target: &Target<'_>,
        key: &ApiKey,
        candidates: &[String],
        sold: &HashSet<String>,
        probe_model: Option<&str>,
    ) -> Checked {
        match self.caller(target, key) {
            Ok(mut caller) => {
                let wanted = check::Wanted {
                    candidates,
                    sold,
                    probe_model,
                };
                check::check(&mut caller, &wanted).await
            }
            Err(verdict) => Checked {
                verdict,
                models: None,
                named_host: None,
                retry_after: None,
            },
        }
    }

    /// Lists the models of a key, within the deadline. That proves nothing about the key.
    pub async fn list(&self, target: &Target<'_>, key: &ApiKey) -> ListOutcome {
        let mut caller = match self.caller(target, key) {
            Ok(caller) => caller,
            Err(verdict) => return ListOutcome::Failed(verdict),
        };
        match check::list(&mut caller).await {
            Ok(Some(models)) => ListOutcome::Models(models),
            Ok(None) => ListOutcome::Hidden,
            Err(refusal) => ListOutcome::Failed(refusal.verdict()),
        }
    }

    /// Everything that can be refused without a call; the deadline runs from here.
    fn caller<'a>(
        &'a self,
        target: &'a Target<'a>,
        key: &'a ApiKey,
    ) -> Result<call::ProbeClient<'a>, Verdict> {
        if let Some(verdict) = self.key_hint(target, key) {
            return Err(verdict);
        }
        let headers = headers(target, key).ok_or(Verdict::Unexpected)?;
        if self.egress.admits(target.base_url).is_err() {
            call::warn_of_barred(target);
            return Err(Verdict::Unreachable);
        }
        let now = Instant::now();
        Ok(call::ProbeClient {
            client: &self.client,
            rules: &self.rules,
            target,
            key,
            headers,
            deadline: now.checked_add(self.deadline).unwrap_or(now),
            may_retry: true,
        })
    }
}

/// The provider's and the key's headers, then the protocol's own, which win. `None` if one cannot be sent, or would
/// change where the request goes or ends; the catalog allows no such names.
fn headers(target: &Target<'_>, key: &ApiKey) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in target.headers {
        let name = HeaderName::try_from(name).ok()?;
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return None;
        }
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    let protocol = target.protocol;
    if protocol == Protocol::Local {
        return None;
    }
    let secret = Zeroizing::new(format!("{}{}", protocol.auth_prefix(), key.expose()));
    let mut value = HeaderValue::from_str(&secret).ok()?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(protocol.auth_header()), value);
    if let Some((name, value)) = protocol.fixed_header() {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    Some(headers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_the_key_does_not_print_it() {
        let key = ApiKey::parse("sk-0123456789abcdefWXYZ".to_owned()).unwrap();
        let base_url = Url::parse("https://api.example/v1").unwrap();
        for protocol in [Protocol::Openai, Protocol::Anthropic] {
            let target = Target {
                provider: "acme",
                protocol,
                base_url: &base_url,
                headers: &BTreeMap::new(),
            };
            let printed = format!("{:?}", headers(&target, &key).unwrap());
            assert!(
                printed.contains("Sensitive") && !printed.contains("WXYZ"),
                "{printed}"
            );
        }
    }
}
