//! TLS on the contract's port: rustls over aws-lc-rs, TLS 1.3, HTTP/2.
//!
//! The files are read again every second; when what they hold changes, new connections get the new certificate and the
//! new CA, and those that are open go on. A rotation that is half done, or wrong, changes nothing and is logged once.
//!
//! Invariants: no session is resumed, so that every connection is checked against today's CA; the private key is read
//! into memory that is wiped; a certificate and a key that do not belong together are refused.
//!
//! Not here: what a client's certificate means (`identity`), and revocation lists.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use tokio::{sync::watch, time::interval};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::identity::{Certificate, may_log_refusal};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// No file of ours is longer.
const LONGEST: u64 = 1024 * 1024;

/// The files, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate and its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs clients' certificates, and whether each client must have one.
    pub clients: Option<(PathBuf, ClientAuth)>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Or the handshake fails.
    Required,
    /// A token may do instead.
    Optional,
}

/// TLS as it is today.
pub struct Tls {
    files: TlsFiles,
    today: watch::Sender<Today>,
}

struct Today {
    config: Arc<ServerConfig>,
    content: Content,
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    clients: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn open(files: TlsFiles) -> Result<Self, String> {
        let content = Content::read(&files)?;
        let config = Arc::new(content.config(&files)?);
        Ok(Self {
            files,
            today: watch::Sender::new(Today { config, content }),
        })
    }

    /// Reads a client's certificate and chain, in PEM, and checks them as a handshake now would.
    ///
    /// # Errors
    /// What a handshake would refuse.
    pub fn check_client(&self, pem: &[u8]) -> Result<Certificate, String> {
        let chain = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "not a certificate in PEM".to_owned())?;
        let (leaf, intermediates) = chain.split_first().ok_or("no certificate in PEM")?;
        let content = Content::read(&self.files)?;
        let verifier = content
            .verifier(&self.files)?
            .ok_or("tls.client_ca_file is not set, so that no certificate counts")?;
        verifier
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .map_err(|error| format!("a handshake refuses it: {error}"))?;
        Ok(Certificate::read(leaf))
    }

    /// What the next handshake is made with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.today.borrow().config))
    }

    /// Takes in new files, until the process ends.
    pub async fn follow(&self) {
        let mut round = interval(LOOK);
        let mut logged = String::new();
        loop {
            round.tick().await;
            match self.look() {
                Ok(changed) => {
                    if changed {
                        tracing::info!("the TLS files have changed; new connections use them");
                    }
                    logged.clear();
                }
                Err(why) if why != logged => {
                    tracing::warn!(
                        why,
                        "the TLS files have changed and cannot be used; the old ones go on"
                    );
                    logged = why;
                }
                Err(_) => {}
            }
        }
    }

    fn look(&self) -> Result<bool, String> {
        let content = Content::read(&self.files)?;
        if self.today.borrow().content == content {
            return Ok(false);
        }
        let config = Arc::new(content.config(&self.files)?);
        self.today.send_replace(Today { config, content });
        Ok(true)
    }
}

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
            clients: files
                .clients
                .as_ref()
                .map(|(file, _)| read(file))
                .transpose()?,
        })
    }

    /// Who checks clients' certificates; `None`: they are not asked for.
    fn verifier(&self, files: &TlsFiles) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let (Some(pem), Some((file, auth))) = (&self.clients, &files.clients) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, file)? {
            roots
                .add(certificate)
                .map_err(|error| format!("{}: not a CA: {error}", file.display()))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match auth {
            ClientAuth::Required => verifier,
            ClientAuth::Optional => verifier.allow_unauthenticated(),
        };
        verifier
            .build()
            .map(Some)
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| format!("TLS 1.3 is not available: {error}"))?;
        let builder = match self.verifier(files)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| format!("{}: holds no private key in PEM", files.key.display()))?;
        let chain = certificates(&self.certificate, &files.certificate)?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            format!(
                "{} and {}: {error}",
                files.certificate.display(),
                files.key.display()
            )
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("{}: cannot be read: {error}", file.display());
    if fs::metadata(file).map_err(unreadable)?.len() > LONGEST {
        return Err(format!("{}: longer than {LONGEST} bytes", file.display()));
    }
    fs::read(file).map_err(unreadable)
}

fn certificates(pem: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{}: holds no certificate in PEM", file.display())),
    }
}

/// A handshake that failed, for the operator: what the client showed is not good.
pub(super) fn refused(error: &std::io::Error) {
    if may_log_refusal() {
        tracing::info!(%error, "a TLS handshake was refused");
    }
}
