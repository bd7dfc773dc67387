//! The options that every command takes: which server, as whom, and how the answer is written.
//!
//! An option goes before its environment variable, that before what the data folder holds.
//!
//! Absent: defaults for the server and the token; `client` knows them.

use std::path::PathBuf;

use clap::Args;

use super::{
    argument,
    failure::Failure,
    output::{self, Format},
};
use crate::{
    client::{Access, ConnectError, Connection, ServerAddress, TlsFiles, TokenSource},
    domain::{caller::Role, names::PurposeName},
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct Target {
    /// The server, as http://HOST:PORT or https://HOST:PORT [default: the one running in the data folder]
    #[arg(long, global = true, value_name = "URL", env = "BYOKD_SERVER", hide_env_values = true, value_parser = argument::word)]
    server: Option<String>,
    /// A file that holds the bearer token [default: minted by the signer in the data folder]
    #[arg(long, global = true, value_name = "FILE", env = "BYOKD_TOKEN_FILE", hide_env_values = true, value_parser = argument::path())]
    token_file: Option<PathBuf>,
    /// Who signs the server's certificate, in PEM [default: those that this machine trusts]
    #[arg(long, global = true, value_name = "FILE", env = "BYOKD_TLS_CA", hide_env_values = true, value_parser = argument::path())]
    tls_ca: Option<PathBuf>,
    /// A client certificate, in PEM; then a token is sent only if --token-file names one
    #[arg(long, global = true, value_name = "FILE", env = "BYOKD_TLS_CERT", hide_env_values = true, value_parser = argument::path())]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, global = true, value_name = "FILE", env = "BYOKD_TLS_KEY", hide_env_values = true, value_parser = argument::path())]
    tls_key: Option<PathBuf>,
    /// The folder of a byokd that runs on this machine [default: ./byokd-data]
    #[arg(long, global = true, value_name = "DIR", env = "BYOKD__SERVER__DATA_DIR", hide_env_values = true, value_parser = argument::path())]
    pub(super) data_dir: Option<PathBuf>,
    /// How the answer is written: text for people, json for programs
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) output: Format,
}

impl Target {
    /// The folder that was named, or the default.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("./byokd-data"))
    }

    /// Connects with the rights that a command needs: a role in one workspace, or in all (`*`).
    pub(super) async fn connect(&self, role: Role, workspace: &str) -> Result<Connection, Failure> {
        self.connect_for(role, workspace, "").await
    }

    /// As `connect`, also for a purpose. Empty: the default one.
    pub(super) async fn connect_for(
        &self,
        role: Role,
        workspace: &str,
        purpose: &str,
    ) -> Result<Connection, Failure> {
        // An empty variable is how a shell or a container says "not set".
        let named = self.server.as_deref().filter(|server| !server.is_empty());
        let server = ServerAddress::find(named, &self.data_dir()).map_err(ConnectError::from)?;
        if !server.is_loopback() && !server.is_encrypted() {
            let server = server.as_str();
            self.note(&format!(
                "the connection to {server} is not encrypted: the token and any key travel readable"
            ));
        }
        let tls = TlsFiles {
            ca: named_file(&self.tls_ca),
            certificate: named_file(&self.tls_cert),
            key: named_file(&self.tls_key),
        };
        let token = match (named_file(&self.token_file), &tls.certificate) {
            (Some(file), _) => TokenSource::File(file),
            (None, Some(_)) => TokenSource::Certificate,
            (None, None) => TokenSource::DataDir(self.data_dir()),
        };
        let access = Access {
            role,
            workspace,
            // A malformed purpose is the server's to refuse.
            purpose: PurposeName::parse(purpose).ok(),
        };
        Ok(Connection::open(&server, &tls, &token, &access).await?)
    }

    /// Says something beside the answer, to people only.
    pub(super) fn note(&self, text: &str) {
        if self.output == Format::Text {
            output::aside(&format!("note: {text}\n"));
        }
    }
}

/// An empty variable is how a shell or a container says "not set".
fn named_file(file: &Option<PathBuf>) -> Option<PathBuf> {
    file.clone().filter(|file| !file.as_os_str().is_empty())
}
