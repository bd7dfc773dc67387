//! `byokd workspace`: show everything that is stored about one workspace, or delete it.
//!
//! Invariant: keys cannot be restored, so deleting asks first on a terminal and needs `--yes` elsewhere.
//!
//! Not here: creating one. The first key or toggle creates a workspace.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use clap::{Args, Subcommand};

use super::{argument, change::ChangeArgs, failure::Failure, global::GlobalArgs, output, view};
use crate::{client::answer, contract::v1, domain::caller::Role};

/// The longest reply that is read, in bytes.
const MAX_REPLY: u64 = 64;

#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceCommand {
    /// Show the toggle, the keys (masked) and the selected models
    Show(ShowWorkspaceArgs),
    /// Remove its keys and switch BYO off
    Delete(DeleteWorkspaceArgs),
}

#[derive(Args, Debug)]
pub(super) struct ShowWorkspaceArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
}

#[derive(Args, Debug)]
pub(super) struct DeleteWorkspaceArgs {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl WorkspaceCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run(global).await,
            Self::Delete(command) => command.run(global).await,
        }
    }
}

impl ShowWorkspaceArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let connection = global.connect(Role::Viewer, &self.workspace).await?;
        let request = v1::GetWorkspaceRequest {
            workspace_id: self.workspace,
        };
        let response = answer(connection.keys().get_workspace(request)).await?;
        global.show_message(&response, |response| {
            view::workspace(response.workspace.as_ref())
        })
    }
}

impl DeleteWorkspaceArgs {
    async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        if !self.yes {
            confirm(&self.workspace)?;
        }
        let connection = global.connect(Role::Admin, &self.workspace).await?;
        let request = v1::DeleteWorkspaceRequest {
            workspace_id: self.workspace,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().delete_workspace(request)).await?;
        global.show_message(&response, |response| {
            view::workspace(response.workspace.as_ref())
        })
    }
}

fn confirm(workspace: &str) -> Result<(), Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::local(format_args!(
            "deleting workspace {workspace} needs --yes, because standard input is not a terminal"
        )));
    }
    output::write_stderr(&format!("Delete all keys of workspace {workspace}? [y/N] "));
    let mut reply = String::new();
    stdin
        .lock()
        .take(MAX_REPLY)
        .read_line(&mut reply)
        .map_err(|error| Failure::local(format_args!("cannot read your reply: {error}")))?;
    if is_yes(&reply) {
        return Ok(());
    }
    Err(Failure::local("nothing was deleted"))
}

fn is_yes(reply: &str) -> bool {
    ["y", "yes"].contains(&reply.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES\r\n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("no") && !is_yes("yellow"));
    }
}
