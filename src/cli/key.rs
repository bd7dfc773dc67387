//! `byokd key`: set, list, verify and delete the keys that a workspace brings.
//!
//! Absent: reading a key back; `resolve --reveal` is the one way out.

use std::{collections::BTreeMap, fmt};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{
    argument,
    change::{Change, NewKey},
    failure::Failure,
    output, secret_input,
    target::Target,
    view::{KeyList, KeyView, ModelView, Models, Verified, WorkspaceView},
};
use crate::{client::answer, contract::v1, domain::caller::Role};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Test a key with its provider and store it in place of the old one
    Set(Set),
    /// List a workspace's keys, masked
    List(List),
    /// Test the stored key again
    Verify(Verify),
    /// Delete the key for one provider
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(super) struct Set {
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
    new: NewKey,
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
}

#[derive(Args, Debug)]
pub(super) struct Verify {
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
pub(super) struct Delete {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// The provider
    #[arg(value_parser = argument::provider)]
    provider: String,
    #[command(flatten)]
    change: Change,
}

impl Key {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::Set(command) => command.run(target).await,
            Self::List(command) => command.run(target).await,
            Self::Verify(command) => command.run(target).await,
            Self::Delete(command) => command.run(target).await,
        }
    }
}

impl Set {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        let headers = self.new.headers()?;
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        // Ask for the key last, after the server has answered.
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
        let shown = KeySet {
            key: response.key.map(KeyView::from),
            models: response.models.into_iter().map(ModelView::from).collect(),
            workspace: response.workspace.map(WorkspaceView::from),
            cleared_selections: response.cleared_selections.into_iter().collect(),
        };
        output::answer(target.output, &shown)?;
        if self.new.validate_only {
            target.note("nothing was stored");
        } else if let Some(workspace) = shown.workspace.filter(|workspace| !workspace.byo_enabled) {
            let id = workspace.workspace_id;
            target.note(&format!(
                "BYO is off, the platform's keys are still used: switch with `byokd toggle {id} on`"
            ));
        }
        Ok(())
    }
}

impl List {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Viewer, &self.workspace).await?;
        let request = v1::GetWorkspaceRequest {
            workspace_id: self.workspace,
        };
        let workspace = answer(connection.keys().get_workspace(request))
            .await?
            .workspace;
        let workspace = workspace.unwrap_or_default();
        let keys = workspace
            .providers
            .into_iter()
            .filter_map(|entry| entry.key);
        output::answer(target.output, &KeyList::new(keys, workspace.revision))?;
        Ok(())
    }
}

impl Verify {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        let request = v1::VerifyKeyRequest {
            workspace_id: self.workspace,
            provider: self.provider,
            model: self.model,
        };
        let response = answer(connection.keys().verify_key(request)).await?;
        let verdict = response.verdict();
        output::answer(target.output, &Verified::new(response.key, verdict))?;
        Ok(())
    }
}

impl Delete {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        let request = v1::DeleteKeyRequest {
            workspace_id: self.workspace,
            provider: self.provider,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().delete_key(request)).await?;
        let shown = KeyDeleted {
            workspace: response.workspace.map(WorkspaceView::from),
            deleted: response.deleted,
        };
        output::answer(target.output, &shown)?;
        Ok(())
    }
}

#[derive(Serialize)]
struct KeySet {
    key: Option<KeyView>,
    models: Vec<ModelView>,
    workspace: Option<WorkspaceView>,
    cleared_selections: BTreeMap<String, String>,
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}")?;
        }
        if !self.models.is_empty() {
            write!(f, "\n{}", Models(&self.models))?;
        }
        super::view::cleared(f, &self.cleared_selections)
    }
}

#[derive(Serialize)]
struct KeyDeleted {
    workspace: Option<WorkspaceView>,
    deleted: bool,
}

impl fmt::Display for KeyDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.deleted {
            "deleted\n"
        } else {
            "there was no key\n"
        })
    }
}
