//! The `[tls]` section: the encryption of the contract's port, and client certificates.
//!
//! Not here: cipher suites and versions. TLS 1.3 it is (RFC 8446).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How the contract is encrypted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and its chain, in PEM; empty: no TLS.
    pub cert_file: PathBuf,
    /// Its private key, in PEM.
    pub key_file: PathBuf,
    /// Who signs callers' certificates, in PEM; empty: none are asked for.
    pub client_ca_file: PathBuf,
    /// Whether a caller must have one.
    pub client_certificates: ClientCertificates,
}

/// Whether a caller must have a certificate, where `client_ca_file` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// Every caller.
    Required,
    /// Who has none needs a token.
    Optional,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            client_ca_file: PathBuf::new(),
            client_certificates: ClientCertificates::Required,
        }
    }
}

impl TlsConfig {
    /// Whether the contract is served over TLS.
    pub fn is_on(&self) -> bool {
        set(&self.cert_file)
    }

    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if set(&self.cert_file) != set(&self.key_file) {
            faults.push((
                "tls.cert_file",
                "and tls.key_file go together; set both or none".to_owned(),
            ));
        }
        if set(&self.client_ca_file) && !self.is_on() {
            faults.push((
                "tls.client_ca_file",
                "needs tls.cert_file and tls.key_file".to_owned(),
            ));
        }
        faults
    }
}

fn set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}
