//! `byokd healthcheck`: is the byokd of this machine, or of this container, ready?
//!
//! It is what a container engine runs where there is no shell and no other program. Exit codes: 0 ready, 2 not.
//!
//! Absent: a server elsewhere, and whether a call would be granted. It asks the admin port, as a kubelet does.

use std::{fmt, net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{argument, failure::Failure, output, settings::Settings, target::Target};
use crate::client;

#[derive(Args, Debug)]
pub(super) struct Healthcheck {
    /// Its admin port [default: server.admin_listen of the configuration]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<SocketAddr>,
    /// The configuration [default: ./byokd.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "BYOKD_CONFIG", hide_env_values = true, value_parser = argument::path())]
    config: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "is not an address like 127.0.0.1:9464")
}

impl Healthcheck {
    pub(super) async fn run(self, target: &Target) -> Result<(), Failure> {
        let admin = match self.admin {
            Some(admin) => admin,
            None => {
                Settings::in_file(self.config)
                    .load(target)?
                    .server
                    .admin_listen
            }
        };
        client::ready(admin).await?;
        output::answer(target.output, &Ready { ready: true })?;
        Ok(())
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ready\n")
    }
}
