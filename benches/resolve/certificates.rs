//! The certificates of both servers and of the client.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

use crate::ca::{Ca, Issued};

/// The caller's name.
pub(crate) const CALLER: &str = "spiffe://bench/caller";

pub(crate) struct Certificates {
    ca: Ca,
    server: Issued,
    pub(crate) client: Issued,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let ca = Ca::new("bench");
        let (server, client) = (ca.server(), ca.client(CALLER));
        Self { ca, server, client }
    }

    /// What a server needs, by file.
    pub(crate) fn files(&self) -> [(&'static str, String); 3] {
        let Issued { certificate, key } = self.server.clone();
        [
            ("server.crt", certificate),
            ("server.key", key),
            ("ca.crt", self.ca.pem()),
        ]
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// What the client connects with: TLS 1.3, its certificate shown.
    pub(crate) fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca.pem().as_bytes()).unwrap())
            .unwrap();
        let chain = CertificateDer::pem_slice_iter(self.client.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.client.key.as_bytes()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}
