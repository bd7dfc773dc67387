//! `byokd key`: set, list, verify and delete the keys that a workspace brings.
//!
//! Not here: reading a key back. Only `resolve --reveal` shows a key.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;

use super::{
    argument,
    change::{ChangeArgs, NewKeyArgs},
    failure::Failure,
    global::GlobalArgs,
    secret_input, view,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Test a key with its provider and store it in place of the old one
    Set(SetKeyArgs),
    /// List a workspace's keys, masked
    List(ListKeysArgs),
    /// Test the stored key again
    Verify(VerifyKeyArgs),
    /// Delete the key for one provider
    Delete(DeleteKeyArgs),
}

#[derive(Args, Debug)]
pub(super) struct SetKeyArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    /// Select this model for the provider
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    model: String,
    /// Also switch the workspace to its own keys
    #[arg(long)]
    enable_byo: bool,
    #[command(flatten)]
    new: NewKeyArgs,
}

#[derive(Args, Debug)]
pub(super) struct ListKeysArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
}

#[derive(Args, Debug)]
pub(super) struct VerifyKeyArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    /// The model to test with [default: the first that the key lists and the catalog sells]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = argument::word)]
    model: String,
}

#[derive(Args, Debug)]
pub(super) struct DeleteKeyArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl KeyCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        match self {
            Self::Set(command) => command.run(global).await,
            Self::List(command) => command.run(global).await,
            Self::Verify(command) => command.run(global).await,
            Self::Delete(command) => command.run(global).await,
        }
    }
}

impl SetKeyArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let headers = self.new.headers()?;
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        // Read last, so that a key is not typed for a server that does not answer.
        let api_key = secret_input::read(self.new.key_file.as_deref(), &self.provider)?;
        let request = v1::SetKeyRequest {
            workspace_id: self.workspace,
            provider: self.provider,
            api_key: api_key.expose_secret().to_owned(),
            base_url: self.new.base_url,
            headers,
            model: self.model,
            enable_byo: self.enable_byo,
            validate_only: self.new.validate_only,
            allow_unverified: self.new.allow_unverified,
            request_id: self.new.change.request_id,
            expected_revision: self.new.change.expected_revision,
            on_behalf_of: self.new.change.on_behalf_of,
        };
        let response = answer(connection.keys().set_key(request)).await?;
        global.show_message(&response, text)?;
        if self.new.validate_only {
            global.note("nothing was stored");
        } else if let Some(workspace) = response
            .workspace
            .filter(|workspace| !workspace.byo_enabled)
        {
            let id = workspace.workspace_id;
            global.note(&format!(
                "BYO is off, the platform's keys are still used: switch with `byokd toggle {id} on`"
            ));
        }
        Ok(())
    }
}

fn text(response: &v1::SetKeyResponse) -> String {
    let mut text = response.key.as_ref().map(view::key).unwrap_or_default();
    if !response.models.is_empty() {
        text.push('\n');
        text.push_str(&view::models(&response.models));
    }
    text + &view::cleared_selections(&response.cleared_selections)
}

impl ListKeysArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Viewer, &self.workspace).await?;
        let request = v1::GetWorkspaceRequest {
            workspace_id: self.workspace,
        };
        let response = answer(connection.keys().get_workspace(request)).await?;
        global.show_message(&response, |response| {
            let workspace = response.workspace.as_ref();
            let entries = workspace.map(|workspace| &workspace.providers);
            view::keys(
                entries
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| entry.key.as_ref()),
            )
        })
    }
}

impl VerifyKeyArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        let request = v1::VerifyKeyRequest {
            workspace_id: self.workspace,
            provider: self.provider,
            model: self.model,
        };
        let response = answer(connection.keys().verify_key(request)).await?;
        global.show_message(&response, |response| {
            view::verification(response.verdict(), response.key.as_ref())
        })
    }
}

impl DeleteKeyArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        let request = v1::DeleteKeyRequest {
            workspace_id: self.workspace,
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().delete_key(request)).await?;
        global.show_message(&response, |response| view::deletion(response.deleted))
    }
}
