//! `byokd token`: a token of the embedded signer, valid for an hour.

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::{argument, failure::Failure, global::GlobalArgs};
use crate::{
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{self, MintRequest, Signer},
};

#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    /// What the token may call: resolver, viewer, admin or operator; may be given more than once
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The workspace that it is for; `*` for all
    #[arg(long, value_name = "WORKSPACE", value_parser = argument::word)]
    workspace: String,
    /// A purpose of the catalog that it may name; may be given more than once [default: reply]
    #[arg(long = "purpose", value_name = "NAME", value_parser = purpose)]
    purposes: Vec<PurposeName>,
    /// The caller's name in the audit log
    #[arg(long, value_name = "NAME", default_value = "cli", value_parser = argument::word)]
    subject: String,
}

impl TokenArgs {
    pub(super) fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let signer = Signer::in_folder(&global.data_dir()).map_err(|error| {
            Failure::local(format_args!(
                "{error}: start byokd once, or name its folder with --data-dir"
            ))
        })?;
        let request = MintRequest {
            subject: self.subject,
            roles: self.roles,
            workspace: self.workspace,
            purposes: self.purposes,
        };
        let token = identity::mint(&signer, &request, &Clock::system())?;
        global.show(&MintedToken { token })
    }
}

#[derive(Serialize)]
struct MintedToken {
    token: String,
}

impl fmt::Display for MintedToken {
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
