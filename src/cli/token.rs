//! `byokd token`: a token of the embedded signer, good for an hour.

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::{argument, failure::Failure, output, settings::local, target::Target};
use crate::{
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{self, MintRequest, Signer},
};

#[derive(Args, Debug)]
pub(super) struct Token {
    /// What the token may call: resolver, viewer, admin or operator; may be given more than once
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The workspace that it may speak of; `*` for every one
    #[arg(long, value_name = "WORKSPACE", value_parser = argument::word)]
    workspace: String,
    /// What it may call for, as the catalog names it; may be given more than once [default: reply]
    #[arg(long = "purpose", value_name = "NAME", value_parser = purpose)]
    purposes: Vec<PurposeName>,
    /// The caller's name in audit rows
    #[arg(long, value_name = "NAME", default_value = "cli", value_parser = argument::word)]
    subject: String,
}

impl Token {
    pub(super) fn run(self, target: &Target) -> Result<(), Failure> {
        let signer = Signer::in_folder(&target.data_dir()).map_err(|error| {
            Failure::Local(format!(
                "{error}: start byokd once, or name its folder with --data-dir"
            ))
        })?;
        let request = MintRequest {
            subject: self.subject,
            roles: self.roles,
            workspace: self.workspace,
            purposes: self.purposes,
        };
        let token = identity::mint(&signer, &request, &Clock::system()).map_err(local)?;
        output::answer(target.output, &Minted { token })?;
        Ok(())
    }
}

#[derive(Serialize)]
struct Minted {
    token: String,
}

impl fmt::Display for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.token)
    }
}

fn role(name: &str) -> Result<Role, &'static str> {
    Role::parse(name).ok_or("is not one of resolver, viewer, admin, operator")
}

fn purpose(name: &str) -> Result<PurposeName, &'static str> {
    PurposeName::parse(name)
}
