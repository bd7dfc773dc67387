//! `byokd select`: the model that a workspace uses when a call names none.
//!
//! Absent: a default meaning. Clearing is asked for by `--clear`, never by leaving the model out.

use clap::Args;

use super::{
    argument, change::Change, failure::Failure, output, target::Target, view::WorkspaceAnswer,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Args, Debug)]
pub(super) struct Select {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// A family of the catalog, an alias, or a concrete id
    #[arg(required_unless_present = "clear", conflicts_with = "clear", value_parser = argument::word)]
    model: Option<String>,
    /// The provider; needed for a model outside the catalog, and with --clear
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::provider)]
    provider: String,
    /// Forget the selection for the provider
    #[arg(long, requires = "provider")]
    clear: bool,
    #[command(flatten)]
    change: Change,
}

impl Select {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        let request = v1::SelectModelRequest {
            workspace_id: self.workspace,
            model: self.model.unwrap_or_default(),
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().select_model(request)).await?;
        output::answer(target.output, &WorkspaceAnswer::new(response.workspace))?;
        Ok(())
    }
}
