//! The options of every command: the server, the caller's identity, and the form of the answer.
//!
//! Invariants: an option overrides its environment variable, the variable overrides the data folder. JSON of an RPC's
//! answer is the contract's JSON.
//!
//! Not here: the defaults for server and token (`client`).

use std::{fmt::Display, path::PathBuf};

use clap::Args;
use prost::{Message, Name};
use serde::Serialize;

use super::{
    argument,
    failure::Failure,
    output::{self, OutputFormat},
};
use crate::{
    client::{Access, ClientTlsFiles, ConnectError, Connection, ServerAddress, TokenSource},
    contract::to_json,
    domain::{caller::Role, names::PurposeName},
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// The server, as http://HOST:PORT or https://HOST:PORT [default: the server of the data folder]
    #[arg(long, global = true, value_name = "URL", env = "BYOKD_SERVER", hide_env_values = true, value_parser = argument::word)]
    server: Option<String>,
    /// A file that holds the bearer token [default: minted by the signer in the data folder]
    #[arg(long, global = true, value_name = "FILE", env = "BYOKD_TOKEN_FILE", hide_env_values = true, value_parser = argument::path())]
    token_file: Option<PathBuf>,
    /// The CA of the server's certificate, in PEM [default: the CAs that this machine trusts]
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
    /// The form of the answer: text for people, json for programs (the JSON that grpcurl prints for the same call)
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) output: OutputFormat,
}

impl GlobalArgs {
    /// The data folder: the option's, or the default.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("./byokd-data"))
    }

    /// Connects with a role in one workspace, or in all (`*`).
    pub(super) async fn connect(&self, role: Role, workspace: &str) -> Result<Connection, Failure> {
        self.connect_for(role, workspace, "").await
    }

    /// Connects with a role and a purpose. Empty: the default purpose.
    pub(super) async fn connect_for(
        &self,
        role: Role,
        workspace: &str,
        purpose: &str,
    ) -> Result<Connection, Failure> {
        // A shell or a container unsets a variable by making it empty.
        let named = self.server.as_deref().filter(|server| !server.is_empty());
        let server = ServerAddress::find(named, &self.data_dir()).map_err(ConnectError::from)?;
        if !server.is_loopback() && !server.is_encrypted() {
            let server = server.as_str();
            self.note(&format!(
                "the connection to {server} is not encrypted: the token and any key travel in the clear"
            ));
        }
        let tls = ClientTlsFiles {
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
            // The server rejects a malformed purpose.
            purpose: PurposeName::parse(purpose).ok(),
        };
        Ok(Connection::open(&server, &tls, &token, &access).await?)
    }

    /// Writes the answer of an RPC: the contract's JSON, or `text` of it.
    pub(super) fn show_message<M: Message + Name>(
        &self,
        message: &M,
        text: impl FnOnce(&M) -> String,
    ) -> Result<(), Failure> {
        let answer = match self.output {
            OutputFormat::Text => text(message),
            OutputFormat::Json => to_json(message)? + "\n",
        };
        Ok(output::write_stdout(&answer)?)
    }

    /// Writes the answer of a command that is no RPC.
    pub(super) fn show<A: Serialize + Display>(&self, answer: &A) -> Result<(), Failure> {
        let answer = match self.output {
            OutputFormat::Text => answer.to_string(),
            OutputFormat::Json => {
                serde_json::to_string_pretty(answer).map_err(Failure::local)? + "\n"
            }
        };
        Ok(output::write_stdout(&answer)?)
    }

    /// Writes a note for people beside the answer.
    pub(super) fn note(&self, text: &str) {
        if self.output == OutputFormat::Text {
            output::write_stderr(&format!("note: {text}\n"));
        }
    }
}

/// A shell or a container unsets a variable by making it empty.
fn named_file(file: &Option<PathBuf>) -> Option<PathBuf> {
    file.clone().filter(|file| !file.as_os_str().is_empty())
}
