//! What was put on record: changes and counts.
//!
//! What was before and after is JSON: whole for programs, left out for people, who read what was done and by whom.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{super::output::Table, moment, short, when};
use crate::contract::v1;

/// Changes, oldest first.
#[derive(Default, Serialize)]
pub(in super::super) struct Events {
    events: Vec<EventView>,
}

#[derive(Serialize)]
struct EventView {
    event_id: String,
    #[serde(with = "time::serde::rfc3339::option")]
    at: Option<OffsetDateTime>,
    actor: String,
    on_behalf_of: String,
    action: String,
    provider: String,
    before: Value,
    after: Value,
    verdict: &'static str,
    request_id: String,
    revision: u64,
}

impl Events {
    /// Adds a page.
    pub(in super::super) fn extend(&mut self, events: Vec<v1::AuditEvent>) {
        self.events
            .extend(events.into_iter().map(|event| EventView {
                verdict: event.verdict().as_str_name(),
                event_id: event.event_id,
                at: moment(event.at),
                actor: event.actor,
                on_behalf_of: event.on_behalf_of,
                action: event.action,
                provider: event.provider,
                before: json(event.before),
                after: json(event.after),
                request_id: event.request_id,
                revision: event.revision,
            }));
    }
}

/// JSON as such; what is none stays the text that it is.
fn json(text: String) -> Value {
    match text.as_str() {
        "" => Value::Null,
        some => serde_json::from_str(some).unwrap_or(Value::String(text)),
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events.is_empty() {
            return f.write_str("no changes\n");
        }
        let mut table = Table::new(&[
            "AT",
            "REVISION",
            "ACTION",
            "PROVIDER",
            "VERDICT",
            "ACTOR",
            "ON BEHALF OF",
        ]);
        for event in &self.events {
            table.row([
                when(event.at),
                event.revision.to_string(),
                event.action.clone(),
                event.provider.clone(),
                short(event.verdict),
                event.actor.clone(),
                event.on_behalf_of.clone(),
            ]);
        }
        write!(f, "{table}")
    }
}

/// Counts, oldest hour first.
#[derive(Default, Serialize)]
pub(in super::super) struct UsageRows {
    usage: Vec<UsageView>,
}

#[derive(Serialize)]
struct UsageView {
    #[serde(with = "time::serde::rfc3339::option")]
    hour: Option<OffsetDateTime>,
    provider: String,
    generation: u64,
    caller: String,
    handed_out: u64,
}

impl UsageRows {
    /// Adds a page.
    pub(in super::super) fn extend(&mut self, usage: Vec<v1::KeyUsage>) {
        self.usage.extend(usage.into_iter().map(|row| UsageView {
            hour: moment(row.hour),
            provider: row.provider,
            generation: row.generation,
            caller: row.caller,
            handed_out: row.handed_out,
        }));
    }
}

impl fmt::Display for UsageRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.usage.is_empty() {
            return f.write_str("no key was handed out\n");
        }
        let mut table = Table::new(&["HOUR", "PROVIDER", "GENERATION", "CALLER", "HANDED OUT"]);
        for row in &self.usage {
            table.row([
                when(row.hour),
                row.provider.clone(),
                row.generation.to_string(),
                row.caller.clone(),
                row.handed_out.to_string(),
            ]);
        }
        write!(f, "{table}")
    }
}
