//! The models that a key listed: a sorted set of ids with its hash.
//!
//! Invariants: sorted and without repetition, so that equal sets have equal bodies and equal hashes; a provider
//! answers hundreds of ids to every key, and a list is stored and held once per distinct set.
//!
//! Not here: when it was read, and for which key. That stands with the key.

use aws_lc_rs::digest::{SHA256, digest};

/// A distinct list of model ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelList {
    ids: Box<[Box<str>]>,
}

impl ModelList {
    /// A list of these ids, in any order.
    pub fn new(ids: impl IntoIterator<Item = String>) -> Self {
        let mut ids: Vec<Box<str>> = ids.into_iter().map(String::into_boxed_str).collect();
        ids.sort_unstable();
        ids.dedup();
        Self {
            ids: ids.into_boxed_slice(),
        }
    }

    /// The list that `body` wrote.
    pub fn from_body(body: &str) -> Self {
        Self::new(body.lines().map(str::to_owned))
    }

    /// One id a line; model ids are printable ASCII and hold no line break.
    pub fn body(&self) -> String {
        self.ids.join("\n")
    }

    /// SHA-256 of the body.
    pub fn hash(&self) -> Vec<u8> {
        digest(&SHA256, self.body().as_bytes()).as_ref().to_vec()
    }

    /// Whether exactly this id is listed.
    pub fn contains(&self, id: &str) -> bool {
        self.ids
            .binary_search_by(|listed| (**listed).cmp(id))
            .is_ok()
    }

    /// The ids, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(AsRef::as_ref)
    }
}
