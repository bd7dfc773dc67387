//! `byokd toggle`: on = the workspace's own keys, off = the platform's keys and credits.
//!
//! Not here: a default. A change of the payer needs an explicit word.

use std::{collections::BTreeMap, fmt};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    argument, change::Change, failure::Failure, output, target::Target, view::WorkspaceView,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Args, Debug)]
pub(super) struct Toggle {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Whose keys it uses
    #[arg(value_enum)]
    state: State,
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Its own
    On,
    /// The platform's
    Off,
}

impl Toggle {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        let request = v1::ToggleByoRequest {
            workspace_id: self.workspace,
            enabled: Some(self.state == State::On),
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().toggle_byo(request)).await?;
        let shown = Toggled {
            workspace: response.workspace.map(WorkspaceView::from),
            providers_without_usable_key: response.providers_without_usable_key,
            cleared_selections: response.cleared_selections.into_iter().collect(),
        };
        output::answer(target.output, &shown)?;
        if self.state == State::On && !shown.providers_without_usable_key.is_empty() {
            let providers = shown.providers_without_usable_key.join(", ");
            target.note(&format!(
                "calls to {providers} are refused until there is a usable key"
            ));
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Toggled {
    workspace: Option<WorkspaceView>,
    providers_without_usable_key: Vec<String>,
    cleared_selections: BTreeMap<String, String>,
}

impl fmt::Display for Toggled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.workspace
            .as_ref()
            .map_or(Ok(()), |workspace| write!(f, "{workspace}"))?;
        super::view::cleared(f, &self.cleared_selections)
    }
}
