//! Audit events and key usage.
//!
//! Not here: the values before and after a change. JSON has them.

use super::{
    table::Table,
    value::{short, when},
};
use crate::contract::v1;

/// Changes, the oldest first.
pub(in crate::cli) fn audit_events(events: &[v1::AuditEvent]) -> String {
    let mut table = Table::new(&[
        "AT",
        "REVISION",
        "ACTION",
        "PROVIDER",
        "VERDICT",
        "ACTOR",
        "ON BEHALF OF",
    ]);
    for event in events {
        table.row([
            when(event.at),
            event.revision.to_string(),
            event.action.clone(),
            event.provider.clone(),
            short(event.verdict().as_str_name()),
            event.actor.clone(),
            event.on_behalf_of.clone(),
        ]);
    }
    table.or_if_empty("no changes\n")
}

/// Counts, the oldest hour first.
pub(in crate::cli) fn key_usage(usage: &[v1::KeyUsage]) -> String {
    let mut table = Table::new(&["HOUR", "PROVIDER", "GENERATION", "CALLER", "HANDED OUT"]);
    for row in usage {
        table.row([
            when(row.hour),
            row.provider.clone(),
            row.generation.to_string(),
            row.caller.clone(),
            row.handed_out.to_string(),
        ]);
    }
    table.or_if_empty("no key was handed out\n")
}
