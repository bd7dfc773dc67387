//! The TLS of a connection: the CA of the server's certificate, and the client's own certificate.
//!
//! Invariant: the server's certificate is always verified.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use zeroize::Zeroizing;

/// The PEM files of an encrypted connection; each is optional.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsFiles {
    /// The CA of the server's certificate. Absent: the CAs that the machine trusts.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl ClientTlsFiles {
    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        self.ca.is_none() && self.certificate.is_none() && self.key.is_none()
    }

    pub(super) fn config(&self) -> Result<ClientTlsConfig, TlsError> {
        let config = match &self.ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let key = Zeroizing::new(read(key)?);
                Ok(config.identity(Identity::from_pem(read(certificate)?, key.as_slice())))
            }
            (None, None) => Ok(config),
            _ => Err(TlsError::Half),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// A connection cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A certificate without its key, or the reverse.
    #[error("a certificate needs its private key, and the key its certificate: name both or none")]
    Half,
    /// The address does not ask for TLS.
    #[error(
        "{0} is not encrypted, so a CA and a certificate have no effect: write it with https://"
    )]
    NotEncrypted(String),
}
