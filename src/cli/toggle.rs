//! `byokd toggle`: on = the workspace's own keys, off = the platform's keys and credits.
//!
//! Invariant: there is no default. A command that changes who pays says `on` or `off`.

use clap::{Args, ValueEnum};

use super::{argument, change::ChangeArgs, failure::Failure, global::GlobalArgs, view};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Args, Debug)]
pub(super) struct ToggleArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Whose keys it uses
    #[arg(value_enum)]
    state: ToggleState,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ToggleState {
    /// Its own
    On,
    /// The platform's
    Off,
}

impl ToggleArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        let enabled = self.state == ToggleState::On;
        let request = v1::ToggleByoRequest {
            workspace_id: self.workspace,
            enabled: Some(enabled),
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().toggle_byo(request)).await?;
        global.show_message(&response, |response| {
            view::workspace(response.workspace.as_ref())
                + &view::cleared_selections(&response.cleared_selections)
        })?;
        let providers = response.providers_without_usable_key.join(", ");
        if enabled && !providers.is_empty() {
            global.note(&format!(
                "calls to {providers} are rejected until there is a usable key"
            ));
        }
        Ok(())
    }
}
