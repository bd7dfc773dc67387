//! `byokd workspace`: what is stored about one workspace, and its end.
//!
//! Deleting asks first on a terminal, and needs `--yes` elsewhere: keys do not come back.
//!
//! Absent: creating one. A workspace comes into being with its first key or toggle.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use clap::{Args, Subcommand};

use super::{
    argument, change::Change, failure::Failure, output, target::Target, view::WorkspaceAnswer,
};
use crate::{client::answer, contract::v1, domain::caller::Role};

/// Longest confirmation that the prompt reads, in bytes.
const MAX_REPLY: u64 = 64;

#[derive(Debug, Subcommand)]
pub(super) enum Workspace {
    /// Show the toggle, the keys (masked) and the selected models
    Show(Show),
    /// Remove its keys and switch BYO off
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(super) struct Show {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
}

#[derive(Args, Debug)]
pub(super) struct Delete {
    /// The workspace
    #[arg(value_parser = argument::word)]
    workspace: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: Change,
}

impl Workspace {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run(target).await,
            Self::Delete(command) => command.run(target).await,
        }
    }
}

impl Show {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        let connection = target.connect(Role::Viewer, &self.workspace).await?;
        let request = v1::GetWorkspaceRequest {
            workspace_id: self.workspace,
        };
        let response = answer(connection.keys().get_workspace(request)).await?;
        output::answer(target.output, &WorkspaceAnswer::new(response.workspace))?;
        Ok(())
    }
}

impl Delete {
    async fn run(self, target: &Target) -> Result<(), Failure> {
        if !self.yes {
            confirm(&self.workspace)?;
        }
        let connection = target.connect(Role::Admin, &self.workspace).await?;
        let request = v1::DeleteWorkspaceRequest {
            workspace_id: self.workspace,
            request_id: self.change.request_id,
            expected_revision: self.change.expected_revision,
            on_behalf_of: self.change.on_behalf_of,
        };
        let response = answer(connection.keys().delete_workspace(request)).await?;
        output::answer(target.output, &WorkspaceAnswer::new(response.workspace))?;
        Ok(())
    }
}

fn confirm(workspace: &str) -> Result<(), Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Local(format!(
            "deleting workspace {workspace} needs --yes if standard input is not a terminal"
        )));
    }
    output::aside(&format!("Delete all keys of workspace {workspace}? [y/N] "));
    let mut reply = String::new();
    stdin
        .lock()
        .take(MAX_REPLY)
        .read_line(&mut reply)
        .map_err(|error| Failure::Local(format!("your reply could not be read: {error}")))?;
    if says_yes(&reply) {
        return Ok(());
    }
    Err(Failure::Local("nothing was deleted".to_owned()))
}

fn says_yes(reply: &str) -> bool {
    ["y", "yes"].contains(&reply.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(says_yes("y\n") && says_yes(" YES\r\n"));
        assert!(!says_yes("") && !says_yes("\n") && !says_yes("no") && !says_yes("yellow"));
    }
}
