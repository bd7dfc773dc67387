//! Model lists: reads a page, and keeps the ids of all pages.
//!
//! Invariants:
//! - A list is kept whole or not at all, because a list cut short denies models that the key may use. A list with more
//!   than [`MOST_MODELS`] models, or with a page that cannot be read, counts as hidden.
//! - An id has at most [`LONGEST_ID`] visible ASCII characters; other ids are dropped.
//! - An empty list is a list.
//!
//! Not here: the requests for the pages (`check`).

use std::collections::BTreeSet;

use serde::{Deserialize, de::IgnoredAny};

/// More than any vendor offers; only accounts with very many fine-tunes have as many.
const MOST_MODELS: usize = 20_000;
/// In characters; the longest known ids, those of fine-tunes, have fewer than 100.
const LONGEST_ID: usize = 256;

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct ModelPage {
    data: Vec<ModelEntry>,
    has_more: Option<bool>,
    /// Anthropic: the id after which the next page begins.
    last_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ModelEntry {
    /// Groq sends `active: false` for a model that is listed and cannot be called.
    Model {
        id: String,
        active: Option<bool>,
    },
    Other(IgnoredAny),
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// No page: the list is complete.
    End,
    /// The page after this id.
    After(String),
    /// A page that cannot be requested.
    Lost,
}

/// The ids of all pages read so far.
#[derive(Default)]
pub(super) struct ModelIds(BTreeSet<String>);

impl ModelPage {
    /// Reads `{"data": […]}`, or Together's bare array; `None` for anything else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        if body.trim_ascii_start().starts_with(b"[") {
            Some(Self {
                data: serde_json::from_slice(body).ok()?,
                has_more: None,
                last_id: None,
            })
        } else {
            serde_json::from_slice(body).ok()
        }
    }

    pub(super) fn next(&self) -> NextPage {
        match (self.has_more, &self.last_id) {
            (Some(true), Some(last)) if is_id(last) => NextPage::After(last.clone()),
            (Some(true), _) => NextPage::Lost,
            _ => NextPage::End,
        }
    }
}

impl ModelIds {
    /// Adds a page; false if there are now too many models to keep.
    pub(super) fn add(&mut self, page: ModelPage) -> bool {
        for entry in page.data {
            if let ModelEntry::Model { id, active } = entry
                && active != Some(false)
                && is_id(&id)
            {
                self.0.insert(id);
            }
            if self.0.len() > MOST_MODELS {
                return false;
            }
        }
        true
    }

    /// The ids, sorted and unique.
    pub(super) fn into_ids(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Option<Vec<String>> {
        let mut models = ModelIds::default();
        assert!(models.add(ModelPage::read(body.as_bytes())?));
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
    fn entries_without_a_callable_model_are_dropped() {
        let long = "m".repeat(LONGEST_ID + 1);
        let body = format!(
            r#"{{"data":[{{"id":"on","active":true}},{{"id":"off","active":false}},{{"id":7}},{{}},null,
                "text",{{"id":""}},{{"id":"a b"}},{{"id":"ä"}},{{"id":"x\u0000"}},{{"id":"{long}"}}]}}"#
        );
        assert_eq!(ids(&body).unwrap(), ["on"]);
    }

    #[test]
    fn a_body_without_a_list_is_none() {
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
            assert!(ModelPage::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn the_next_page_is_known_or_lost() {
        let next = |rest: &str| {
            ModelPage::read(format!(r#"{{"data":[]{rest}}}"#).as_bytes())
                .unwrap()
                .next()
        };
        assert_eq!(next(""), NextPage::End);
        assert_eq!(next(r#","has_more":false,"last_id":"m""#), NextPage::End);
        assert_eq!(
            next(r#","has_more":true,"last_id":"m""#),
            NextPage::After("m".to_owned())
        );
        assert_eq!(next(r#","has_more":true"#), NextPage::Lost);
        assert_eq!(next(r#","has_more":true,"last_id":null"#), NextPage::Lost);
    }

    #[test]
    fn a_list_is_kept_whole_or_not_at_all() {
        let page = |count: usize| ModelPage {
            data: (0..count)
                .map(|n| ModelEntry::Model {
                    id: format!("m{n}"),
                    active: None,
                })
                .collect(),
            has_more: None,
            last_id: None,
        };
        assert!(ModelIds::default().add(page(MOST_MODELS)));
        assert!(!ModelIds::default().add(page(MOST_MODELS + 1)));
    }
}
