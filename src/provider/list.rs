//! Model lists: reading one page, and keeping what is worth keeping of all of them.
//!
//! Invariants:
//! - What is kept is whole or nothing. A list cut short would say of a model that the key cannot use it, so a list
//!   with more than [`MOST_MODELS`] models, or with a page that cannot be read, counts as hidden.
//! - At most [`MOST_MODELS`] ids of at most [`LONGEST_ID`] visible ASCII characters are held; other ids are dropped.
//! - An empty list is a list.

use std::collections::BTreeSet;

use serde::{Deserialize, de::IgnoredAny};

/// More than any vendor offers; only fine-tunes without end get there.
const MOST_MODELS: usize = 20_000;
/// In characters; the longest ids are those of fine-tunes, below 100.
const LONGEST_ID: usize = 256;

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page {
    data: Vec<Entry>,
    /// Whether there are more pages.
    has_more: Option<bool>,
    /// Anthropic: what to ask the next page after.
    last_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    /// `active` is Groq's: false for a model that is listed but cannot be called.
    Model {
        id: String,
        active: Option<bool>,
    },
    Other(IgnoredAny),
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the list is complete.
    End,
    /// Another page, after this id.
    After(String),
    /// More, but no way to ask for it.
    Lost,
}

/// The models of all pages so far.
#[derive(Default)]
pub(super) struct Models(BTreeSet<String>);

impl Page {
    /// Reads `{"data": […]}`, or a bare array as Together sends it; `None` for anything else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        if body.trim_ascii_start().starts_with(b"[") {
            let data = serde_json::from_slice(body).ok()?;
            Some(Self {
                data,
                has_more: None,
                last_id: None,
            })
        } else {
            serde_json::from_slice(body).ok()
        }
    }

    /// What follows it.
    pub(super) fn next(&self) -> Next {
        match (self.has_more, &self.last_id) {
            (Some(true), Some(last)) if is_id(last) => Next::After(last.clone()),
            (Some(true), _) => Next::Lost,
            _ => Next::End,
        }
    }
}

impl Models {
    /// Takes in a page; false if there are more models than are kept.
    pub(super) fn add(&mut self, page: Page) -> bool {
        for entry in page.data {
            match entry {
                Entry::Model {
                    active: Some(false),
                    ..
                } => {}
                Entry::Model { id, .. } if is_id(&id) => {
                    self.0.insert(id);
                }
                Entry::Model { .. } | Entry::Other(IgnoredAny) => {}
            }
            if self.0.len() > MOST_MODELS {
                return false;
            }
        }
        true
    }

    /// The ids, sorted, each once.
    pub(super) fn into_ids(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn ids(body: &str) -> Option<Vec<String>> {
        let mut models = Models::default();
        assert!(models.add(Page::read(body.as_bytes())?));
        Some(models.into_ids())
    }

    #[test]
    fn ids_are_sorted_and_unique_in_either_shape() {
        let wrapped =
            r#"{"object":"list","data":[{"id":"b"},{"id":"a","owned_by":"x"},{"id":"b"}]}"#;
        assert_eq!(ids(wrapped).unwrap(), ["a", "b"]);
        assert_eq!(ids(r#" [{"id":"b"},{"id":"a"}]"#).unwrap(), ["a", "b"]);
        assert_eq!(ids(r#"{"data":[]}"#).unwrap(), [""; 0]);
    }

    #[test]
    fn entries_that_are_no_callable_model_are_dropped() {
        let long = "m".repeat(LONGEST_ID + 1);
        let body = format!(
            r#"{{"data":[{{"id":"on","active":true}},{{"id":"off","active":false}},{{"id":7}},{{}},null,
                "text",{{"id":""}},{{"id":"a b"}},{{"id":"ä"}},{{"id":"x\u0000"}},{{"id":"{long}"}}]}}"#
        );
        assert_eq!(ids(&body).unwrap(), ["on"]);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            "null",
            "[",
            r#"{"models":[]}"#,
        ] {
            assert!(Page::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn the_next_page_is_known_or_the_list_is_lost() {
        let next = |rest: &str| {
            Page::read(format!(r#"{{"data":[]{rest}}}"#).as_bytes())
                .unwrap()
                .next()
        };
        assert_eq!(next(""), Next::End);
        assert_eq!(next(r#","has_more":false,"last_id":"m""#), Next::End);
        assert_eq!(
            next(r#","has_more":true,"last_id":"m""#),
            Next::After("m".to_owned())
        );
        assert_eq!(next(r#","has_more":true"#), Next::Lost);
        assert_eq!(next(r#","has_more":true,"last_id":null"#), Next::Lost);
    }

    #[test]
    fn a_list_is_kept_whole_or_not_at_all() {
        let page = |count: usize| Page {
            data: (0..count)
                .map(|n| Entry::Model {
                    id: format!("m{n}"),
                    active: None,
                })
                .collect(),
            has_more: None,
            last_id: None,
        };
        assert!(Models::default().add(page(MOST_MODELS)));
        assert!(!Models::default().add(page(MOST_MODELS + 1)));
    }
}
