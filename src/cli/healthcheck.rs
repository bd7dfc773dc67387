//! `byokd healthcheck`: checks whether the byokd of this machine or container is ready.
//!
//! A container engine runs it in an image without a shell. Exit codes: 0 ready, 2 not ready.
//!
//! Not here: servers on other machines, and whether a call would be granted. It asks the admin port, as a kubelet does.

use std::{fmt, net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{argument, failure::Failure, global::GlobalArgs, settings::SettingsArgs};
use crate::client;

#[derive(Args, Debug)]
pub(super) struct HealthcheckArgs {
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

impl HealthcheckArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<(), Failure> {
        let admin = match self.admin {
            Some(admin) => admin,
            None => {
                let config = SettingsArgs::in_file(self.config).load(global)?;
                config.server.admin_listen
            }
        };
        client::check_ready(admin).await?;
        global.show(&ReadyAnswer { ready: true })
    }
}

#[derive(Serialize)]
struct ReadyAnswer {
    ready: bool,
}

impl fmt::Display for ReadyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ready\n")
    }
}
