//! One probe: a request to a provider within the check's deadline, and its bounded answer.
//!
//! Invariants:
//! - All probes of a check share one deadline and one retry. The retry is for a connection that could not be made; an
//!   answered request is never repeated.
//! - At most [`LONGEST_LIST`] bytes of a list are read, and [`LONGEST_ANSWER`] of any other answer.
//! - A provider's text leaves this module only as the meaning that the rules give it. The log gets the provider's name,
//!   the status, the meaning and the duration: no URL, no body, no header, no key.
//!
//! Not here: which probes a check sends (`check`), and what an answer means (`rules`).

use std::{error::Error as _, iter::successors, time::Duration};

use reqwest::{
    Client, Response, StatusCode,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    outcome::ProbeFailure,
    rules::{Probe, VerdictRules},
    target::ProbeTarget,
};
use crate::{
    domain::{secret::ApiKey, verdict::Verdict},
    egress::was_barred,
    telemetry::trace,
};

/// In bytes: several times the longest known list.
const LONGEST_LIST: usize = 4 * 1024 * 1024;
/// In bytes: errors and generations of a few tokens are short.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Longer waits are cut to this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A request below the base URL: a POST if there is a body, else a GET.
pub(super) struct ProbeRequest {
    pub(super) path: &'static [&'static str],
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

/// Sends the probes of one check.
pub(super) struct ProbeClient<'a> {
    pub(super) http: &'a Client,
    pub(super) rules: &'a VerdictRules,
    pub(super) target: &'a ProbeTarget<'a>,
    pub(super) key: &'a ApiKey,
    /// With the key.
    pub(super) headers: HeaderMap,
    pub(super) deadline: Instant,
    /// Whether the one retry is unused.
    pub(super) may_retry: bool,
}

struct ProbeAnswer {
    status: StatusCode,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl ProbeClient<'_> {
    /// Sends a probe and returns the body of a success.
    pub(super) async fn send(
        &mut self,
        probe: Probe,
        request: &ProbeRequest,
    ) -> Result<Vec<u8>, ProbeFailure> {
        let started = Instant::now();
        let answer = timeout_at(self.deadline, self.exchange(request))
            .await
            .unwrap_or(Err(Verdict::Unreachable));
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        let body = answer
            .map_err(ProbeFailure::from)
            .and_then(|answer| self.judge(probe, answer));
        tracing::debug!(
            provider = self.target.provider,
            ?probe,
            status,
            refusal = body.as_ref().err().map(|failure| failure.meaning().as_str()),
            elapsed = ?started.elapsed(),
            "probe"
        );
        body
    }

    fn judge(&self, probe: Probe, answer: ProbeAnswer) -> Result<Vec<u8>, ProbeFailure> {
        let ProbeAnswer {
            status,
            body,
            retry_after,
        } = answer;
        if status.is_success() {
            return Ok(body);
        }
        let protocol = self.target.protocol;
        Err(ProbeFailure {
            judgement: self.rules.judge(protocol, probe, status.as_u16(), &body),
            retry_after,
        })
    }

    async fn exchange(&mut self, request: &ProbeRequest) -> Result<ProbeAnswer, Verdict> {
        let url = below(self.target.base_url, request).ok_or(Verdict::Unexpected)?;
        loop {
            let builder = match &request.body {
                None => self.http.get(url.clone()),
                Some(body) => self.http.post(url.clone()).json(body),
            };
            let mut headers = self.headers.clone();
            if let Some(parent) =
                trace::outgoing().and_then(|parent| HeaderValue::from_str(&parent).ok())
            {
                headers.insert("traceparent", parent);
            }
            match builder.headers(headers).send().await {
                Ok(response) => return read(response, request.body.is_none()).await,
                Err(error) if was_barred(&error) => {
                    warn_of_barred(self.target);
                    return Err(Verdict::Unreachable);
                }
                Err(error) if error.is_connect() && self.may_retry => self.may_retry = false,
                Err(error) => {
                    if error.is_connect() {
                        warn_of_no_connection(self.target, &error);
                    }
                    return Err(unreachable_for(&error));
                }
            }
        }
    }
}

/// Reads an answer up to the bound. A longer answer does not come from a provider.
async fn read(mut response: Response, is_list: bool) -> Result<ProbeAnswer, Verdict> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let bound = if is_list && status.is_success() {
        LONGEST_LIST
    } else {
        LONGEST_ANSWER
    };
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| unreachable_for(&error))?
    {
        if body.len().saturating_add(chunk.len()) > bound {
            return Err(Verdict::Unexpected);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ProbeAnswer {
        status,
        body,
        retry_after,
    })
}

/// In seconds, as both vendors send it. A date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn below(base_url: &Url, request: &ProbeRequest) -> Option<Url> {
    let mut url = base_url.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(request.path);
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    Some(url)
}

/// Logs the kind alone: the error's text holds the URL, and may hold what the provider sent.
fn unreachable_for(error: &reqwest::Error) -> Verdict {
    let kind = match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        error if error.is_body() || error.is_decode() => "body",
        _ => "request",
    };
    tracing::debug!(kind, "probe failed");
    Verdict::Unreachable
}

/// Logs the causes. Before a connection, they hold no text of the provider: they name DNS, TCP or TLS.
fn warn_of_no_connection(target: &ProbeTarget<'_>, error: &reqwest::Error) {
    let causes = successors(error.source(), |&cause| cause.source()).map(ToString::to_string);
    tracing::warn!(
        provider = target.provider,
        host = target.base_url.host_str(),
        causes = causes.collect::<Vec<_>>().join(": "),
        "provider not reached"
    );
}

/// Warns the operator, who may have to allow the host; or a name resolves to a private address.
pub(super) fn warn_of_barred(target: &ProbeTarget<'_>) {
    tracing::warn!(
        provider = target.provider,
        host = target.base_url.host_str(),
        "provider not called: its base URL or address is not allowed"
    );
}
