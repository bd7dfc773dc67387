//! The contract's messages as answers: with its field and enum names for programs, in few words for people.
//!
//! Field names are the contract's and therefore stable. A message that is absent is `null`.
//!
//! Absent: anything of one command only; that stands with the command. No view holds a secret.

mod caller;
mod decision;
mod record;
mod value;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use time::OffsetDateTime;

pub(super) use caller::CallerView;
pub(super) use decision::{BillingView, EndpointView, KeyReferenceView, ModelView, Models};
pub(super) use record::{Events, UsageRows};
pub(super) use value::{moment, older, seconds, short, when};

use super::output::Table;
use crate::contract::v1;

/// A key, masked.
#[derive(Serialize)]
pub(super) struct KeyView {
    provider: String,
    key_id: String,
    masked: String,
    generation: u64,
    badge: &'static str,
    verdict: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    checked_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    verified_at: Option<OffsetDateTime>,
    base_url: String,
    headers: BTreeMap<String, String>,
    set_by: String,
    on_behalf_of: String,
    #[serde(with = "time::serde::rfc3339::option")]
    set_at: Option<OffsetDateTime>,
}

impl From<v1::Key> for KeyView {
    fn from(key: v1::Key) -> Self {
        Self {
            badge: key.badge().as_str_name(),
            verdict: key.verdict().as_str_name(),
            provider: key.provider,
            key_id: key.key_id,
            masked: key.masked,
            generation: key.generation,
            checked_at: moment(key.checked_at),
            verified_at: moment(key.verified_at),
            base_url: key.base_url,
            headers: key.headers.into_iter().collect(),
            set_by: key.set_by,
            on_behalf_of: key.on_behalf_of,
            set_at: moment(key.set_at),
        }
    }
}

impl fmt::Display for KeyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        table.field("provider", self.provider.as_str());
        table.field("key", self.masked.as_str());
        table.field("badge", short(self.badge));
        table.field("verdict", short(self.verdict));
        table.field("checked", when(self.checked_at));
        table.field("verified", when(self.verified_at));
        table.field("endpoint", self.base_url.as_str());
        for (name, value) in &self.headers {
            table.field("header", format!("{name}: {value}"));
        }
        if self.generation > 0 {
            table.field("generation", self.generation.to_string());
        }
        write!(f, "{table}")
    }
}

/// Keys, with the revision that they are of.
#[derive(Serialize)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
    revision: u64,
}

impl KeyList {
    pub(super) fn new(keys: impl IntoIterator<Item = v1::Key>, revision: u64) -> Self {
        Self {
            keys: keys.into_iter().map(KeyView::from).collect(),
            revision,
        }
    }
}

impl fmt::Display for KeyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.keys.is_empty() {
            return f.write_str("no keys\n");
        }
        let mut table = Table::new(&[
            "PROVIDER", "KEY", "BADGE", "VERDICT", "CHECKED", "SET BY", "ENDPOINT",
        ]);
        for key in &self.keys {
            table.row([
                key.provider.clone(),
                key.masked.clone(),
                short(key.badge),
                short(key.verdict),
                when(key.checked_at),
                key.set_by.clone(),
                key.base_url.clone(),
            ]);
        }
        write!(f, "{table}")
    }
}

/// What a test call with a stored key taught.
#[derive(Serialize)]
pub(super) struct Verified {
    key: Option<KeyView>,
    verdict: &'static str,
}

impl Verified {
    pub(super) fn new(key: Option<v1::Key>, verdict: v1::Verdict) -> Self {
        Self {
            key: key.map(KeyView::from),
            verdict: verdict.as_str_name(),
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", short(self.verdict))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "\n{key}"))
    }
}

/// A workspace.
#[derive(Serialize)]
pub(super) struct WorkspaceView {
    pub(super) workspace_id: String,
    pub(super) byo_enabled: bool,
    providers: Vec<ProviderEntryView>,
    revision: u64,
}

#[derive(Serialize)]
struct ProviderEntryView {
    provider: String,
    key: Option<KeyView>,
    selected_model: String,
    configured: bool,
}

impl From<v1::Workspace> for WorkspaceView {
    fn from(workspace: v1::Workspace) -> Self {
        let providers = workspace
            .providers
            .into_iter()
            .map(|entry| ProviderEntryView {
                provider: entry.provider,
                key: entry.key.map(KeyView::from),
                selected_model: entry.selected_model,
                configured: entry.configured,
            });
        Self {
            workspace_id: workspace.workspace_id,
            byo_enabled: workspace.byo_enabled,
            providers: providers.collect(),
            revision: workspace.revision,
        }
    }
}

impl fmt::Display for WorkspaceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        table.field("workspace", self.workspace_id.as_str());
        table.field("BYO", if self.byo_enabled { "on" } else { "off" });
        table.field("revision", self.revision.to_string());
        write!(f, "{table}")?;
        if self.providers.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&["PROVIDER", "KEY", "BADGE", "VERDICT", "CHECKED", "MODEL"]);
        for entry in &self.providers {
            let of_key =
                |show: fn(&KeyView) -> String| entry.key.as_ref().map(show).unwrap_or_default();
            let gone = if entry.configured {
                ""
            } else {
                " (not configured)"
            };
            table.row([
                format!("{}{gone}", entry.provider),
                of_key(|key| key.masked.clone()),
                of_key(|key| short(key.badge)),
                of_key(|key| short(key.verdict)),
                of_key(|key| when(key.checked_at)),
                entry.selected_model.clone(),
            ]);
        }
        write!(f, "\n{table}")
    }
}

/// An answer that is a workspace and nothing else.
#[derive(Serialize)]
pub(super) struct WorkspaceAnswer {
    workspace: Option<WorkspaceView>,
}

impl WorkspaceAnswer {
    pub(super) fn new(workspace: Option<v1::Workspace>) -> Self {
        Self {
            workspace: workspace.map(WorkspaceView::from),
        }
    }
}

impl fmt::Display for WorkspaceAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.workspace
            .as_ref()
            .map_or(Ok(()), |workspace| write!(f, "{workspace}"))
    }
}

/// The selections that a change cleared.
pub(super) fn cleared(
    f: &mut fmt::Formatter<'_>,
    selections: &BTreeMap<String, String>,
) -> fmt::Result {
    for (provider, model) in selections {
        writeln!(
            f,
            "\nThe selected model {model} was cleared: the workspace's {provider} key cannot use it."
        )?;
    }
    Ok(())
}
