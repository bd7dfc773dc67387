//! One call to a provider: under the check's deadline, bounded, and understood.
//!
//! Invariants:
//! - All calls of a check share one deadline, and one retry, which is for a connection that could not be made. An
//!   answer is never asked for twice.
//! - At most [`LONGEST_LIST`] bytes of a list are read, and [`LONGEST_ANSWER`] of any other answer.
//! - Nothing that the provider wrote leaves here but what the rules made of it. The log gets the provider's name,
//!   the status, the meaning and the time it took: no URL, no body, no header, no key.

use std::time::Duration;

use reqwest::{
    Client, Response,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    Checked, Target,
    rules::{Meaning, Probe, Rules},
};
use crate::{
    domain::{secret::ApiKey, verdict::Verdict},
    egress::was_barred,
    telemetry::trace,
};

/// In bytes: room for the longest lists known, several times over.
const LONGEST_LIST: usize = 4 * 1024 * 1024;
/// In bytes: room for any other answer; an error or a word is short.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A provider that asks for more is not waited for anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What to call, below the base URL: a GET, or a POST if there is a body.
pub(super) struct Call {
    pub(super) path: &'static [&'static str],
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

/// Any answer but a success, and also no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) meaning: Meaning,
    named_host: Option<String>,
    retry_after: Option<Duration>,
}

/// The calls of one check.
pub(super) struct ProbeClient<'a> {
    pub(super) client: &'a Client,
    pub(super) rules: &'a Rules,
    pub(super) target: &'a Target<'a>,
    pub(super) key: &'a ApiKey,
    /// With the key in them.
    pub(super) headers: HeaderMap,
    pub(super) deadline: Instant,
    /// Whether the one retry is still to be had.
    pub(super) may_retry: bool,
}

impl ProbeClient<'_> {
    /// Calls; the answer is the body of a success.
    pub(super) async fn call(&mut self, probe: Probe, call: &Call) -> Result<Vec<u8>, Refusal> {
        let started = Instant::now();
        let exchanged = timeout_at(self.deadline, self.exchange(call)).await;
        let (status, answer) = match exchanged {
            Ok(Ok(Answer {
                status,
                body,
                retry_after,
            })) => {
                let answer = if (200..300).contains(&status) {
                    Ok(body)
                } else {
                    let judgement = self.rules.judge(self.target.protocol, probe, status, &body);
                    let (meaning, named_host) = (judgement.meaning, judgement.named_host);
                    Err(Refusal {
                        meaning,
                        named_host,
                        retry_after,
                    })
                };
                (Some(status), answer)
            }
            Ok(Err(verdict)) => (None, Err(verdict.into())),
            Err(_elapsed) => (None, Err(Verdict::Unreachable.into())),
        };
        tracing::debug!(
            provider = self.target.provider,
            ?probe,
            status,
            refusal = answer.as_ref().err().map(|refusal| refusal.meaning.as_str()),
            elapsed = ?started.elapsed(),
            "probe"
        );
        answer
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, Verdict> {
        let url = below(self.target.base_url, call).ok_or(Verdict::Unexpected)?;
        loop {
            let request = match &call.body {
                None => self.client.get(url.clone()),
                Some(body) => self.client.post(url.clone()).json(body),
            };
            let mut headers = self.headers.clone();
            if let Some(parent) =
                trace::outgoing().and_then(|parent| HeaderValue::from_str(&parent).ok())
            {
                headers.insert("traceparent", parent);
            }
            match request.headers(headers).send().await {
                Ok(response) => return read(response, call.body.is_none()).await,
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

struct Answer {
    status: u16,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

/// Reads an answer and stops at the bound: who sends more is not a provider of ours.
async fn read(mut response: Response, is_list: bool) -> Result<Answer, Verdict> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let bound = if is_list && response.status().is_success() {
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
    Ok(Answer {
        status,
        body,
        retry_after,
    })
}

/// Seconds, as both vendors send it; a date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn below(base_url: &Url, call: &Call) -> Option<Url> {
    let mut url = base_url.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(call.path);
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    Some(url)
}

/// Logs the kind alone: the error's own text holds the URL and may hold what the other side sent.
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

/// No answer came, so nothing in these errors is the provider's word: they name DNS, TCP or TLS.
fn warn_of_no_connection(target: &Target<'_>, error: &reqwest::Error) {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    let (host, causes) = (
        target.base_url.host_str().unwrap_or_default(),
        causes.join(": "),
    );
    tracing::warn!(
        provider = target.provider,
        host,
        causes,
        "provider not reached"
    );
}

/// Logs a blocked address: the operator allows the host, or finds out who points the name at a private address.
pub(super) fn warn_of_barred(target: &Target<'_>) {
    let host = target.base_url.host_str().unwrap_or_default();
    tracing::warn!(
        provider = target.provider,
        host,
        "provider not called: its base URL or address is not allowed"
    );
}

impl From<Verdict> for Refusal {
    fn from(verdict: Verdict) -> Self {
        Self {
            meaning: Meaning::Verdict(verdict),
            named_host: None,
            retry_after: None,
        }
    }
}

impl Refusal {
    /// What it teaches about the key.
    pub(super) fn verdict(&self) -> Verdict {
        match self.meaning {
            Meaning::Verdict(verdict) => verdict,
            // These ask for another call. Without that call there is no verdict.
            Meaning::ListHidden | Meaning::OlderCap => Verdict::Unexpected,
        }
    }

    /// The check that ends with it.
    pub(super) fn ends(self, models: Option<Vec<String>>) -> Checked {
        Checked {
            verdict: self.verdict(),
            models,
            named_host: self.named_host,
            retry_after: self.retry_after,
        }
    }
}
