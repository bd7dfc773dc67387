//! A workspace, as a settings page shows it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::key::KeyView;
use crate::domain::{
    catalog::Catalog, names::ProviderName, verdict::Condemnation, workspace::Workspace,
};

/// A workspace, as a settings page shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkspaceView {
    /// The product's id.
    pub workspace_id: String,
    /// The BYO toggle.
    pub byo_enabled: bool,
    /// Sorted by name.
    pub providers: Vec<ProviderEntryView>,
    /// 0: never changed.
    pub revision: u64,
}

/// The state of a workspace at one provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ProviderEntryView {
    /// The provider.
    pub provider: String,
    /// The active key.
    pub key: Option<KeyView>,
    /// The selected model.
    pub selected_model: Option<String>,
    /// Whether the catalog still has the provider.
    pub configured: bool,
}

impl WorkspaceView {
    /// The view of a workspace.
    pub fn new(workspace: &Workspace, catalog: &Catalog, condemnation: &Condemnation) -> Self {
        let Workspace {
            keys, selections, ..
        } = workspace;
        let names: BTreeSet<_> = keys.keys().chain(selections.keys()).collect();
        let entry = |name: &ProviderName| ProviderEntryView {
            provider: name.to_string(),
            key: keys
                .get(name)
                .map(|key| KeyView::new(name, key, condemnation)),
            selected_model: selections
                .get(name)
                .map(|selection| selection.model.to_string()),
            configured: catalog.providers.contains_key(name),
        };
        Self {
            workspace_id: workspace.id.to_string(),
            byo_enabled: workspace.byo_enabled,
            providers: names.into_iter().map(entry).collect(),
            revision: workspace.revision,
        }
    }
}
