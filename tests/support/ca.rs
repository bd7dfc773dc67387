//! A certificate authority of a test's own: certificates of every kind, good and bad.
//!
//! ```ignore
//! let ca = Ca::new("callers");
//! let agent = ca.client("spiffe://test/agent");
//! let odd = ca.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
//! ```

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The issuer.
pub(crate) struct Ca {
    signer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificates up to the root, the root left out, in PEM.
    chain: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    /// The certificate and its chain.
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Ca {
    /// A root.
    pub(crate) fn new(name: &str) -> Self {
        let signer =
            CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        Self {
            signer,
            chain: String::new(),
        }
    }

    /// An intermediate authority that this one signed.
    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_with(name, |_| {})
    }

    /// The same, with changes.
    pub(crate) fn below_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (key, mut params) = (KeyPair::generate().unwrap(), authority(name));
        change(&mut params);
        let signer = CertifiedIssuer::signed_by(params, key, &self.signer).unwrap();
        let chain = format!("{}{}", signer.pem(), self.chain);
        Self { signer, chain }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.signer.pem()
    }

    /// For a server on this machine.
    pub(crate) fn server(&self) -> Issued {
        self.issue(|params| {
            params.subject_alt_names =
                vec![dns("localhost"), SanType::IpAddress([127, 0, 0, 1].into())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    /// For a caller of this name: a SPIFFE id or a host.
    pub(crate) fn client(&self, name: &str) -> Issued {
        self.issue(|params| params.subject_alt_names = vec![san(name)])
    }

    /// For a caller without a name, with changes.
    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.issue_for(&KeyPair::generate().unwrap(), change)
    }

    /// The same for this key.
    pub(crate) fn issue_for(
        &self,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = leaf();
        change(&mut params);
        let signed = params.signed_by(key, &self.signer).unwrap();
        Issued {
            certificate: format!("{}{}", signed.pem(), self.chain),
            key: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// A self-signed certificate.
    pub(crate) fn by_itself(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf();
        params.subject_alt_names = vec![san(name)];
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes it as two files with this name.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            folder.join(format!("{name}.crt")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }
}

/// A URI or a DNS name.
pub(crate) fn san(name: &str) -> SanType {
    if name.contains("://") {
        SanType::URI(name.try_into().unwrap())
    } else {
        dns(name)
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Good now and at the time of the tests' own clock.
fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A connection to a server of this CA's, with or without a certificate. A refused certificate fails the
/// first call at the latest.
pub(crate) async fn connect(
    address: impl std::fmt::Display,
    ca: &str,
    shown: Option<&Issued>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let Some(issued) = shown {
        tls = tls.identity(Identity::from_pem(&issued.certificate, &issued.key));
    }
    Endpoint::from_shared(format!("https://{address}"))?
        .tls_config(tls)?
        .connect()
        .await
}
