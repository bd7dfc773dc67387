//! How the connection is encrypted: whom the server's certificate must be signed by, and our own.
//!
//! Absent: any way not to check the server's certificate.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use zeroize::Zeroizing;

/// The files of an encrypted connection, in PEM; each may be absent.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsFiles {
    /// Who signs the server's certificate; absent: those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// Our certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl ClientTlsFiles {
    /// True: nothing is named.
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

/// Why a connection cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A certificate without its key, or the reverse.
    #[error("a certificate and its private key go together; name both or none")]
    Half,
    /// The address does not ask for TLS.
    #[error(
        "{0} is not encrypted, so that a CA and a certificate have no use; write it with https://"
    )]
    NotEncrypted(String),
}
