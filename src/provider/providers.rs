//! The entry to key checks, for every provider of the catalog.
//!
//! Invariant: a check is refused without a request where the key's format, a header or the base URL forbids it.
//!
//! Not here: the order of the probes (`check`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    check::{self, ProbeOptions},
    client::{ProbeClient, warn_of_barred},
    formats::KeyFormats,
    outcome::{CheckOutcome, ListOutcome, ProbeFailure},
    rules::VerdictRules,
    target::ProbeTarget,
};
use crate::{
    domain::{secret::ApiKey, verdict::Verdict},
    egress::Egress,
};

/// Why key checks are impossible.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The built-in tables cannot be read.
    #[error("the provider tables are broken: {0}")]
    Tables(#[from] toml::de::Error),
    /// There is no HTTP client, for example for lack of TLS roots.
    #[error("no HTTP client for providers: {0}")]
    Client(#[from] reqwest::Error),
}

/// All providers. They differ by [`ProbeTarget`] only.
pub struct Providers {
    egress: Arc<Egress>,
    http: reqwest::Client,
    deadline: Duration,
    rules: VerdictRules,
    formats: KeyFormats,
}

impl Providers {
    /// Reads the tables and makes the HTTP client. `deadline` is for a whole check, with all its probes.
    ///
    /// # Errors
    ///
    /// A table cannot be read, or there is no HTTP client.
    pub fn new(egress: Egress, deadline: Duration) -> Result<Self, ProviderError> {
        let egress = Arc::new(egress);
        Ok(Self {
            http: egress.client(None)?,
            egress,
            deadline,
            rules: VerdictRules::shipped()?,
            formats: KeyFormats::shipped()?,
        })
    }

    /// [`Verdict::WrongKind`] if the key has the format of an admin key, an OAuth token or another vendor's key. No
    /// request is sent.
    pub fn key_hint(&self, target: &ProbeTarget<'_>, key: &ApiKey) -> Option<Verdict> {
        self.formats
            .foreign(target, key)
            .then_some(Verdict::WrongKind)
    }

    /// Checks a key: lists the models, then generates a few tokens, all within the deadline.
    ///
    /// `candidates` are the catalog's ids of this provider, best first and none retired; `sold` are all ids and aliases
    /// that the catalog sells of it. `probe_model` replaces all of them. At most four models are tried, the next one
    /// only if the key may not use the last. With no model to try the verdict is [`Verdict::ModelUnavailable`].
    pub async fn check(
        &self,
        target: &ProbeTarget<'_>,
        key: &ApiKey,
        candidates: &[String],
        sold: &HashSet<String>,
        probe_model: Option<&str>,
    ) -> CheckOutcome {
        let options = ProbeOptions {
            candidates,
            sold,
            probe_model,
        };
        match self.client(target, key) {
            Ok(mut client) => check::check(&mut client, &options).await,
            Err(verdict) => ProbeFailure::from(verdict).outcome(None),
        }
    }

    /// Lists the models of a key, within the deadline. A list proves nothing about the key.
    pub async fn list(&self, target: &ProbeTarget<'_>, key: &ApiKey) -> ListOutcome {
        let mut client = match self.client(target, key) {
            Ok(client) => client,
            Err(verdict) => return ListOutcome::Failed(verdict),
        };
        match check::list(&mut client).await {
            Ok(Some(models)) => ListOutcome::Models(models),
            Ok(None) => ListOutcome::Hidden,
            Err(failure) => ListOutcome::Failed(failure.verdict()),
        }
    }

    /// A client for one check, unless no probe may be sent. The deadline runs from here.
    fn client<'a>(
        &'a self,
        target: &'a ProbeTarget<'a>,
        key: &'a ApiKey,
    ) -> Result<ProbeClient<'a>, Verdict> {
        if let Some(verdict) = self.key_hint(target, key) {
            return Err(verdict);
        }
        let headers = target.headers(key).ok_or(Verdict::Unexpected)?;
        if self.egress.admits(target.base_url).is_err() {
            warn_of_barred(target);
            return Err(Verdict::Unreachable);
        }
        let now = Instant::now();
        Ok(ProbeClient {
            http: &self.http,
            rules: &self.rules,
            target,
            key,
            headers,
            deadline: now.checked_add(self.deadline).unwrap_or(now),
            may_retry: true,
        })
    }
}
