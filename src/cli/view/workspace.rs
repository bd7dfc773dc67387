//! Workspaces.

use std::collections::{BTreeMap, HashMap};

use super::{
    table::Table,
    value::{short, when},
};
use crate::contract::v1;

/// A workspace with its providers. Absent: nothing.
pub(in crate::cli) fn workspace(workspace: Option<&v1::Workspace>) -> String {
    let Some(workspace) = workspace else {
        return String::new();
    };
    let mut table = Table::default();
    table.field("workspace", workspace.workspace_id.as_str());
    table.field("BYO", if workspace.byo_enabled { "on" } else { "off" });
    table.field("revision", workspace.revision.to_string());
    let head = table.to_string();
    if workspace.providers.is_empty() {
        return head;
    }
    let mut table = Table::new(&["PROVIDER", "KEY", "BADGE", "VERDICT", "CHECKED", "MODEL"]);
    for entry in &workspace.providers {
        let key = entry.key.clone().unwrap_or_default();
        let note = if entry.configured {
            ""
        } else {
            " (not configured)"
        };
        table.row([
            format!("{}{note}", entry.provider),
            key.masked.clone(),
            short(key.badge().as_str_name()),
            short(key.verdict().as_str_name()),
            when(key.checked_at),
            entry.selected_model.clone(),
        ]);
    }
    format!("{head}\n{table}")
}

/// The selections that a change cleared, by provider.
pub(in crate::cli) fn cleared_selections(selections: &HashMap<String, String>) -> String {
    BTreeMap::from_iter(selections)
        .into_iter()
        .map(|(provider, model)| {
            format!(
                "\nThe selected model {model} was cleared: the workspace's {provider} key cannot use it.\n"
            )
        })
        .collect()
}
