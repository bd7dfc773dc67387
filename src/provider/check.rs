//! The recipe of a check: list the models, then let one of them say a word.
//!
//! Both are needed. A list proves no credit, some providers list for anybody, and some good keys may not list. The
//! model that is tried comes from what the key itself lists, never from a fixed name: a key that may not use one
//! model is not a bad key.
//!
//! Absent: what any answer means (the rules), and what is done about it.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    Checked, anthropic,
    call::{ProbeClient, Refusal},
    list::{Models, Next, Page},
    openai,
    rules::{Meaning, Probe},
};
use crate::domain::{
    protocol::Protocol,
    secret::{ApiKey, KEY_LENGTH},
    verdict::Verdict,
};

/// Models tried before giving up; each costs a call of the customer's.
const MOST_TRIES: usize = 4;

/// What the caller knows about the provider's models.
pub(super) struct Wanted<'a> {
    pub(super) candidates: &'a [String],
    pub(super) sold: &'a HashSet<String>,
    pub(super) probe_model: Option<&'a str>,
}

/// Both probes. A list that could be read is kept whatever the generation says.
pub(super) async fn check(caller: &mut ProbeClient<'_>, wanted: &Wanted<'_>) -> Checked {
    let models = match list(caller).await {
        Ok(models) => models,
        Err(refusal) => return refusal.ends(None),
    };
    let mut last = Refusal::from(Verdict::ModelUnavailable);
    for model in choose(models.as_deref(), wanted) {
        match generate(caller, model).await {
            Ok(()) => {
                let verdict = if models.is_some() {
                    Verdict::Valid
                } else {
                    Verdict::ValidListHidden
                };
                return Checked {
                    verdict,
                    models,
                    named_host: None,
                    retry_after: None,
                };
            }
            Err(refusal) if refusal.verdict() == Verdict::ModelUnavailable => last = refusal,
            // A refusal of the request that only a good key gets to see.
            Err(refusal) if refusal.verdict() == Verdict::Valid && models.is_none() => {
                return Checked {
                    verdict: Verdict::ValidListHidden,
                    ..refusal.ends(None)
                };
            }
            Err(refusal) => return refusal.ends(models),
        }
    }
    last.ends(models)
}

/// The ids that the key lists; `None` if they are hidden, or more than are kept.
pub(super) async fn list(caller: &mut ProbeClient<'_>) -> Result<Option<Vec<String>>, Refusal> {
    let mut models = Models::default();
    let mut after = None;
    for _ in 0..anthropic::MOST_PAGES {
        let call = match caller.target.protocol {
            Protocol::Anthropic => anthropic::list(after.take()),
            Protocol::Openai | Protocol::Local => openai::list(),
        };
        let body = match caller.call(Probe::List, &call).await {
            Ok(body) => body,
            Err(refusal) if refusal.meaning == Meaning::ListHidden => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let page = Page::read(&body).ok_or_else(|| Refusal::from(Verdict::Unexpected))?;
        let next = page.next();
        if !models.add(page) {
            return Ok(None);
        }
        match next {
            Next::End => return Ok(Some(without_the_key(models.into_ids(), caller.key))),
            Next::After(id) if caller.target.protocol == Protocol::Anthropic => after = Some(id),
            Next::After(_) | Next::Lost => return Ok(None),
        }
    }
    Ok(None)
}

/// A provider may write anything into a list, also the key that it was asked with; and a list is kept and shown.
fn without_the_key(mut ids: Vec<String>, key: &ApiKey) -> Vec<String> {
    // No provider issues shorter keys, and a shorter text could be part of any id.
    if key.expose().len() >= KEY_LENGTH {
        ids.retain(|id| !id.contains(key.expose()));
    }
    ids
}

/// What to try, best first: the candidates that the key lists, then whatever else it lists that the catalog sells;
/// with neither, the candidates as they are, since a list may be incomplete.
fn choose<'a>(models: Option<&'a [String]>, wanted: &Wanted<'a>) -> Vec<&'a str> {
    if let Some(model) = wanted.probe_model {
        return vec![model];
    }
    let listed = models.unwrap_or_default();
    let preferred = wanted
        .candidates
        .iter()
        .filter(|id| listed.binary_search(id).is_ok());
    let others = listed
        .iter()
        .filter(|id| wanted.sold.contains(*id) && !wanted.candidates.contains(id));
    let usable: Vec<&str> = preferred
        .chain(others)
        .map(String::as_str)
        .take(MOST_TRIES)
        .collect();
    if usable.is_empty() {
        wanted
            .candidates
            .iter()
            .map(String::as_str)
            .take(MOST_TRIES)
            .collect()
    } else {
        usable
    }
}

async fn generate(caller: &mut ProbeClient<'_>, model: &str) -> Result<(), Refusal> {
    let (body, is_generation): (_, fn(&Value) -> bool) = match caller.target.protocol {
        Protocol::Anthropic => {
            let body = caller
                .call(Probe::Generate, &anthropic::generate(model))
                .await?;
            (body, anthropic::is_generation)
        }
        Protocol::Openai | Protocol::Local => {
            let newer = openai::generate(model, openai::Cap::MaxCompletionTokens);
            let body = match caller.call(Probe::Generate, &newer).await {
                Err(refusal) if refusal.meaning == Meaning::OlderCap => {
                    let older = openai::generate(model, openai::Cap::MaxTokens);
                    caller.call(Probe::Generate, &older).await?
                }
                answer => answer?,
            };
            (body, openai::is_generation)
        }
    };
    let generated = serde_json::from_slice(&body).is_ok_and(|body| is_generation(&body));
    if generated {
        Ok(())
    } else {
        Err(Verdict::Unexpected.into())
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
        let wanted = Wanted {
            candidates: &candidates,
            sold: &sold,
            probe_model: forced,
        };
        choose(listed.as_deref(), &wanted)
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
