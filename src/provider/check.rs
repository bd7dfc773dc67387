//! The recipe of a key check: list the models, then generate a few tokens with one of them.
//!
//! A check needs both probes. A list proves no credit, some providers list without a key, and some good keys may not
//! list. The model comes from the key's own list, not from a fixed name: a key that may not use one model is not a bad
//! key.
//!
//! Not here: what an answer means (`rules`), and what follows from a verdict (`ops`).

use std::collections::HashSet;

use serde_json::Value;

use super::{
    anthropic,
    client::ProbeClient,
    list::{ModelIds, ModelPage, NextPage},
    openai::{self, TokenCap},
    outcome::{CheckOutcome, ProbeFailure},
    rules::{Meaning, Probe},
};
use crate::domain::{
    protocol::Protocol,
    secret::{ApiKey, KEY_LENGTH},
    verdict::Verdict,
};

/// Models that one check tries; each costs the customer a call.
const MOST_TRIES: usize = 4;
/// Pages of one list; a longer list counts as hidden.
const MOST_PAGES: usize = 50;

/// Which models a check may try.
pub(super) struct ProbeOptions<'a> {
    pub(super) candidates: &'a [String],
    pub(super) sold: &'a HashSet<String>,
    pub(super) probe_model: Option<&'a str>,
}

/// Sends both probes. The outcome keeps a list that was read, whatever the generation ends with.
pub(super) async fn check(
    client: &mut ProbeClient<'_>,
    options: &ProbeOptions<'_>,
) -> CheckOutcome {
    let models = match list(client).await {
        Ok(models) => models,
        Err(failure) => return failure.outcome(None),
    };
    let mut last = ProbeFailure::from(Verdict::ModelUnavailable);
    for model in choose(models.as_deref(), options) {
        last = match generate(client, model).await {
            Ok(()) => Verdict::Valid.into(),
            Err(failure) => failure,
        };
        if last.verdict() != Verdict::ModelUnavailable {
            break;
        }
    }
    let mut outcome = last.outcome(models);
    if outcome.verdict == Verdict::Valid && outcome.models.is_none() {
        outcome.verdict = Verdict::ValidListHidden;
    }
    outcome
}

/// The ids that the key lists; `None` if they are hidden or too many to keep.
pub(super) async fn list(
    client: &mut ProbeClient<'_>,
) -> Result<Option<Vec<String>>, ProbeFailure> {
    let mut models = ModelIds::default();
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let request = match client.target.protocol {
            Protocol::Anthropic => anthropic::list(after.take()),
            Protocol::Openai | Protocol::Local => openai::list(),
        };
        let body = match client.send(Probe::List, &request).await {
            Ok(body) => body,
            Err(failure) if failure.meaning() == Meaning::ListHidden => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let page = ModelPage::read(&body).ok_or_else(|| ProbeFailure::from(Verdict::Unexpected))?;
        let next = page.next();
        if !models.add(page) {
            return Ok(None);
        }
        match next {
            NextPage::End => return Ok(Some(without_the_key(models.into_ids(), client.key))),
            NextPage::After(id) if client.target.protocol == Protocol::Anthropic => {
                after = Some(id);
            }
            NextPage::After(_) | NextPage::Lost => return Ok(None),
        }
    }
    Ok(None)
}

/// Drops ids that hold the key: a provider may echo it, and a list is stored and shown.
fn without_the_key(mut ids: Vec<String>, key: &ApiKey) -> Vec<String> {
    // No provider issues a shorter key, and a short one could be part of any id.
    if key.expose().len() >= KEY_LENGTH {
        ids.retain(|id| !id.contains(key.expose()));
    }
    ids
}

/// The models to try, best first: the candidates that the key lists, then its other models that the catalog sells.
/// Without any of these, the candidates as they are, since a list may be incomplete.
fn choose<'a>(models: Option<&'a [String]>, options: &ProbeOptions<'a>) -> Vec<&'a str> {
    if let Some(model) = options.probe_model {
        return vec![model];
    }
    let ProbeOptions {
        candidates, sold, ..
    } = options;
    let listed = models.unwrap_or_default();
    let preferred = candidates
        .iter()
        .filter(|id| listed.binary_search(id).is_ok());
    let others = listed
        .iter()
        .filter(|id| sold.contains(*id) && !candidates.contains(id));
    let mut usable: Vec<&str> = preferred.chain(others).map(String::as_str).collect();
    if usable.is_empty() {
        usable.extend(candidates.iter().map(String::as_str));
    }
    usable.truncate(MOST_TRIES);
    usable
}

async fn generate(client: &mut ProbeClient<'_>, model: &str) -> Result<(), ProbeFailure> {
    let is_generation: fn(&Value) -> bool;
    let body = match client.target.protocol {
        Protocol::Anthropic => {
            is_generation = anthropic::is_generation;
            let request = anthropic::generate(model);
            client.send(Probe::Generate, &request).await?
        }
        Protocol::Openai | Protocol::Local => {
            is_generation = openai::is_generation;
            let request = openai::generate(model, TokenCap::MaxCompletionTokens);
            match client.send(Probe::Generate, &request).await {
                Err(failure) if failure.meaning() == Meaning::OlderCap => {
                    let request = openai::generate(model, TokenCap::MaxTokens);
                    client.send(Probe::Generate, &request).await?
                }
                answer => answer?,
            }
        }
    };
    match serde_json::from_slice(&body).is_ok_and(|body| is_generation(&body)) {
        true => Ok(()),
        false => Err(Verdict::Unexpected.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn chosen(
        listed: Option<&[&str]>,
        candidates: &[&str],
        sold: &[&str],
        forced: Option<&str>,
    ) -> Vec<String> {
        let listed = listed.map(ids);
        let (candidates, sold) = (ids(candidates), ids(sold).into_iter().collect());
        let options = ProbeOptions {
            candidates: &candidates,
            sold: &sold,
            probe_model: forced,
        };
        choose(listed.as_deref(), &options)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_key_and_the_catalog_choose_the_model_together() {
        let candidates = ["new", "old", "older"];
        let sold = ["new", "old", "older", "alias"];
        assert_eq!(
            chosen(Some(&["audio", "old", "older"]), &candidates, &sold, None),
            ["old", "older"]
        );
        assert_eq!(
            chosen(Some(&["alias", "audio", "older"]), &candidates, &sold, None),
            ["older", "alias"]
        );
        assert_eq!(
            chosen(Some(&["alias", "audio"]), &candidates, &sold, None),
            ["alias"]
        );
    }

    #[test]
    fn the_candidates_are_tried_where_the_list_does_not_help() {
        let candidates = ["a", "b", "c", "d", "e"];
        for listed in [None, Some(&[][..]), Some(&["audio"][..])] {
            assert_eq!(
                chosen(listed, &candidates, &candidates, None),
                ["a", "b", "c", "d"]
            );
        }
        assert_eq!(chosen(None, &[], &[], None), [""; 0]);
    }

    #[test]
    fn a_named_model_is_the_only_one_tried() {
        assert_eq!(chosen(Some(&["a"]), &["a"], &["a"], Some("b")), ["b"]);
    }
}
