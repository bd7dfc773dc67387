//! `byokd select`: the model of a workspace for calls that name none.
//!
//! Invariant: only `--clear` clears a selection; a command without a model is an error.

use clap::Args;

use super::{argument, change::ChangeArgs, failure::Failure, global::GlobalArgs, view};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Args, Debug)]
pub(super) struct SelectArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// A family of the catalog, an alias, or a concrete id
    #[arg(required_unless_present = "clear", conflicts_with = "clear", value_parser = argument::word)]
    model: Option<String>,
    /// The provider; needed for a model outside the catalog, and with --clear
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    provider: String,
    /// Clear the selection for the provider
    #[arg(long, requires = "provider")]
    clear: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl SelectArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        let request = v1::SelectModelRequest {
            workspace_id: self.workspace,
            model: self.model.unwrap_or_default(),
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().select_model(request)).await?;
        global.show_message(&response, |response| {
            view::workspace(response.workspace.as_ref())
        })
    }
}
