//! Connections that the TLS port refuses before a call.

use std::sync::Arc;

use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Guarded, assert_cut};
use crate::support::Issued;

/// Presents a certificate and signs with the key of another.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn shown(certificate: &Issued, key: &Issued) -> Arc<Shown> {
    let chain: Result<_, _> =
        CertificateDer::pem_slice_iter(certificate.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).unwrap();
    let key = aws_lc_rs::default_provider()
        .key_provider
        .load_private_key(key)
        .unwrap();
    Arc::new(Shown(Arc::new(CertifiedKey::new(chain.unwrap(), key))))
}

/// A handshake, and one byte after it: a TLS 1.3 server judges the client's certificate after the client has
/// finished.
async fn handshake(
    byokd: &Guarded,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
    shown: Arc<Shown>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(byokd.servers.pem().as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(shown);
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let tcp = TcpStream::connect(byokd.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?;
    // The server's settings come first.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await?;
    stream.read_u8().await?;
    Ok(stream)
}

#[tokio::test]
async fn only_tls_1_3_and_http_2_are_spoken() {
    let byokd = Guarded::start("required").await;
    let agent = byokd.callers.client("spiffe://test/agent");
    let good = shown(&agent, &agent);
    let stream = handshake(&byokd, &TLS13, &["h2"], Arc::clone(&good))
        .await
        .unwrap();
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(ProtocolVersion::TLSv1_3)
    );
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let old = handshake(&byokd, &TLS12, &["h2"], Arc::clone(&good))
        .await
        .unwrap_err();
    assert!(old.to_string().contains("ProtocolVersion"), "{old}");
    for protocols in [&["http/1.1"][..], &["h2c", "H2"], &["grpc-exp"]] {
        let other = handshake(&byokd, &TLS13, protocols, Arc::clone(&good))
            .await
            .unwrap_err();
        assert!(
            other.to_string().contains("NoApplicationProtocol"),
            "{protocols:?}: {other}"
        );
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let byokd = Guarded::start("required").await;
    let (agent, thief) = (
        byokd.callers.client("spiffe://test/agent"),
        byokd.callers.client("spiffe://test/thief"),
    );
    let error = handshake(&byokd, &TLS13, &["h2"], shown(&agent, &thief))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("DecryptError") || error.to_string().contains("alert"),
        "{error}"
    );
    assert_cut(byokd.resolve(None, None).await, "no certificate");
}

#[tokio::test]
async fn clear_text_is_not_spoken_on_an_encrypted_port() {
    let byokd = Guarded::start("optional").await;
    for spoken in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        &[0; 64],
    ] {
        let mut stream = TcpStream::connect(byokd.address()).await.unwrap();
        stream.write_all(spoken).await.unwrap();
        is_closed(&mut stream).await;
    }
}

/// A client that connects and sends nothing, or half a handshake, blocks no other and is disconnected after a
/// while.
#[tokio::test]
async fn a_stalled_handshake_is_cut_and_delays_no_other() {
    let byokd = Guarded::start("required").await;
    let agent = byokd.callers.client("spiffe://test/agent");
    let mut stalled = Vec::new();
    for said in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        for _ in 0..10 {
            let mut stream = TcpStream::connect(byokd.address()).await.unwrap();
            stream.write_all(said).await.unwrap();
            stalled.push(stream);
        }
    }
    byokd.resolve(Some(&agent), None).await.unwrap();
    for mut stream in stalled {
        is_closed(&mut stream).await;
    }
    byokd.resolve(Some(&agent), None).await.unwrap();
}

/// A TLS alert, or nothing, and then the end.
async fn is_closed(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(
        std::time::Duration::from_secs(60),
        stream.read_to_end(&mut answer),
    )
    .await;
    // A reset is an end, too.
    let _reset = end.expect("it is not closed");
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
}
