//! Stored keys, masked.

use std::collections::BTreeMap;

use super::{
    table::Table,
    value::{short, when},
};
use crate::contract::v1;

pub(in crate::cli) fn key(key: &v1::Key) -> String {
    let mut table = Table::default();
    table.field("provider", key.provider.as_str());
    table.field("key", key.masked.as_str());
    table.field("badge", short(key.badge().as_str_name()));
    table.field("verdict", short(key.verdict().as_str_name()));
    table.field("checked", when(key.checked_at));
    table.field("verified", when(key.verified_at));
    table.field("endpoint", key.base_url.as_str());
    for (name, value) in BTreeMap::from_iter(&key.headers) {
        table.field("header", format!("{name}: {value}"));
    }
    if key.generation > 0 {
        table.field("generation", key.generation.to_string());
    }
    table.to_string()
}

pub(in crate::cli) fn keys<'a>(keys: impl IntoIterator<Item = &'a v1::Key>) -> String {
    let mut table = Table::new(&[
        "PROVIDER", "KEY", "BADGE", "VERDICT", "CHECKED", "SET BY", "ENDPOINT",
    ]);
    for key in keys {
        table.row([
            key.provider.clone(),
            key.masked.clone(),
            short(key.badge().as_str_name()),
            short(key.verdict().as_str_name()),
            when(key.checked_at),
            key.set_by.clone(),
            key.base_url.clone(),
        ]);
    }
    table.or_if_empty("no keys\n")
}

/// The verdict of a check, and the key after it.
pub(in crate::cli) fn verification(verdict: v1::Verdict, after: Option<&v1::Key>) -> String {
    let verdict = short(verdict.as_str_name());
    match after {
        Some(after) => format!("{verdict}\n\n{}", key(after)),
        None => format!("{verdict}\n"),
    }
}

pub(in crate::cli) fn deletion(deleted: bool) -> String {
    if deleted {
        "deleted\n".to_owned()
    } else {
        "there was no key\n".to_owned()
    }
}
