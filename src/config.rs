//! Every setting, one struct a concern.
//!
//! A setting comes from a flag, else from an environment variable `BYOKD__SECTION__KEY`, else from `byokd.toml`, else
//! from its default here. A secret may stand in a file that its `_file` twin names.
//!
//! Invariants: an unknown key is an error; all errors are reported at once, each with its source; nothing reads the
//! environment but `load`. A combination that would serve secrets in clear text to a network is refused here, before
//! any port is opened.
//!
//! Not here: what the settings do. `server` hands them to whom they concern.

mod audit;
mod auth;
mod check;
mod limits;
mod load;
mod show;
mod tls;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use audit::{AuditConfig, AuditMode};
pub use auth::{AuthConfig, EmbeddedSigner, IssuerConfig, TokenAlgorithm};
pub use limits::LimitsConfig;
pub use load::{ConfigFaults, Layers};
pub use tls::{ClientCertificates, TlsConfig};

use crate::domain::resolution::UnknownWorkspace;

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where byokd listens and keeps its data.
    pub server: ServerConfig,
    /// How the contract is encrypted.
    pub tls: TlsConfig,
    /// Who may call.
    pub auth: AuthConfig,
    /// How much is served at once and kept in memory.
    pub limits: LimitsConfig,
    /// What everything is kept in.
    pub database: DatabaseConfig,
    /// What wraps the data keys.
    pub kms: KmsConfig,
    /// What is offered.
    pub catalog: CatalogConfig,
    /// How the decision is made.
    pub resolution: ResolutionConfig,
    /// Test calls of keys.
    pub checks: ChecksConfig,
    /// The way out to the providers.
    pub egress: EgressConfig,
    /// What is put on record.
    pub audit: AuditConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// Where byokd listens and keeps its data.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// The address of the contract; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address of probes and metrics; serves nothing else.
    pub admin_listen: SocketAddr,
    /// The folder of everything embedded.
    pub data_dir: PathBuf,
    /// Who encrypts when `listen` is not a loopback address.
    pub plaintext: Plaintext,
    /// Whether the contract can be read from the server.
    pub reflection: Reflection,
    /// How long calls are still taken after SIGTERM, in milliseconds; 0 to 60,000.
    pub shutdown_delay_ms: u64,
}

/// What to do off loopback without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Plaintext {
    /// Refuse to start.
    Refuse,
    /// A service mesh encrypts.
    Mesh,
}

/// Where the contract can be read from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reflection {
    /// On a loopback address only.
    Loopback,
    /// Everywhere.
    On,
    /// Nowhere.
    Off,
}

/// What everything is kept in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:` and a file, or `postgres://`; empty: `byokd.db` in the data folder.
    pub url: String,
    /// A file that holds the URL instead.
    pub url_file: PathBuf,
    /// Where to listen for changes, if `url` leads to a pooler; PostgreSQL only.
    pub listen_url: String,
    /// A file that holds that URL instead.
    pub listen_url_file: PathBuf,
    /// What stands between byokd and PostgreSQL.
    pub pooler: Pooler,
    /// Who brings the schema to this version's level.
    pub migrate: Migrate,
    /// How many connections answer reads; PostgreSQL only.
    pub read_connections: u32,
    /// How many connections make changes; PostgreSQL only.
    pub write_connections: u32,
}

/// What stands between byokd and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooler {
    /// Nothing, or a pooler in session mode.
    None,
    /// A pooler in transaction mode.
    Transaction,
}

/// Who brings the schema to this version's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Migrate {
    /// The first replica that starts.
    Startup,
    /// `byokd migrate up`; a start refuses a schema that lacks what it needs.
    None,
}

/// What wraps the data keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsConfig {
    /// The key of AWS KMS: an ARN, a key id or `alias/…`; empty: the local key file.
    pub key: String,
    /// The region of AWS KMS; empty: the ARN's, else what the AWS SDK finds.
    pub region: String,
    /// Where AWS KMS is reached; empty: the region's own endpoint.
    pub endpoint_url: String,
    /// The local KMS key file; empty: `kms.key` in the data folder.
    pub key_file: PathBuf,
    /// Earlier KMS keys, which may still unwrap: names of AWS KMS keys, or paths of local key files.
    pub previous_keys: Vec<String>,
    /// Calls to AWS KMS a second, at the most.
    pub calls_per_second: u32,
}

/// What is offered.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogConfig {
    /// The catalog's file; empty: the one that byokd ships.
    pub file: PathBuf,
}

/// How the decision is made.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResolutionConfig {
    /// What a workspace that was never seen gets.
    pub unknown_workspace: UnknownWorkspace,
    /// How long an answer may be used; 5 to 300 s.
    pub lease_seconds: u64,
}

/// Test calls of keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChecksConfig {
    /// How many definitive refusals condemn a stored key; at least 2.
    pub condemn_after: u32,
    /// The least time between the first and the last of them, in minutes.
    pub condemn_over_minutes: u32,
    /// Test calls a minute, for each workspace.
    pub per_workspace_per_minute: u32,
    /// Test calls a minute, for each caller.
    pub per_principal_per_minute: u32,
    /// Test calls a second, for each provider.
    pub per_provider_per_second: u32,
    /// How long a test call may take in all, in milliseconds; 100 to 12,000.
    pub deadline_ms: u64,
}

/// The way out to the providers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// For development: a provider's host may be `http://` on a loopback address.
    pub loopback_http: bool,
    /// Host names of providers that may have private addresses.
    pub private_hosts: Vec<String>,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// As tracing's `EnvFilter` reads it, e.g. `info,byokd=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            data_dir: PathBuf::from("./byokd-data"),
            plaintext: Plaintext::Refuse,
            reflection: Reflection::Loopback,
            shutdown_delay_ms: 5_000,
        }
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            url_file: PathBuf::new(),
            listen_url: String::new(),
            listen_url_file: PathBuf::new(),
            pooler: Pooler::None,
            migrate: Migrate::Startup,
            read_connections: 8,
            write_connections: 4,
        }
    }
}

impl Default for KmsConfig {
    fn default() -> Self {
        Self {
            key: String::new(),
            region: String::new(),
            endpoint_url: String::new(),
            key_file: PathBuf::new(),
            previous_keys: Vec::new(),
            calls_per_second: 200,
        }
    }
}

impl Default for ResolutionConfig {
    fn default() -> Self {
        Self {
            unknown_workspace: UnknownWorkspace::Platform,
            lease_seconds: 60,
        }
    }
}

impl Default for ChecksConfig {
    fn default() -> Self {
        Self {
            condemn_after: 3,
            condemn_over_minutes: 10,
            per_workspace_per_minute: 60,
            per_principal_per_minute: 600,
            per_provider_per_second: 20,
            deadline_ms: 10_000,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            filter: "info,sea_orm_migration=warn,sqlx=warn".to_owned(),
        }
    }
}

impl Config {
    /// The database's URL.
    pub fn database_url(&self) -> String {
        match self.database.url.as_str() {
            "" => format!("sqlite:{}", self.server.data_dir.join("byokd.db").display()),
            url => url.to_owned(),
        }
    }

    /// The local KMS key file.
    pub fn kms_key_file(&self) -> PathBuf {
        match self.kms.key_file.as_os_str().is_empty() {
            true => self.server.data_dir.join("kms.key"),
            false => self.kms.key_file.clone(),
        }
    }
}
