//! A fake issuer of tokens: a server on its own port that publishes a key set.
//!
//! ```ignore
//! let issuer = Issuer::start("https://issuer.test", &[&key]).await;
//! issuer.answer(Reply::hang());
//! assert_eq!(issuer.fetches(), 1);
//! ```

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, Response},
    serve::Listener,
};
use byokd::config::{IssuerConfig, TokenAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Ca, Reply, TokenKey, token_key::key_set};

/// An issuer on `127.0.0.1`. Its server ends with the value.
pub(crate) struct Issuer {
    pub(crate) name: String,
    url: String,
    script: Arc<Mutex<Script>>,
    server: JoinHandle<()>,
}

struct Script {
    answer: Reply,
    bearer: Option<String>,
    seen: Vec<HeaderMap>,
}

impl Issuer {
    /// An issuer that publishes these keys.
    pub(crate) async fn start(name: &str, keys: &[&TokenKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        Self::serving(name, keys, listener, url)
    }

    /// The same over TLS, with a certificate of this CA.
    pub(crate) async fn start_tls(name: &str, keys: &[&TokenKey], ca: &Ca) -> Self {
        let issued = ca.server();
        let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}/keys",
            inner.local_addr().unwrap().port()
        );
        let listener = TlsListener {
            inner,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        Self::serving(name, keys, listener, url)
    }

    fn serving<L>(name: &str, keys: &[&TokenKey], listener: L, url: String) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let answer = Reply::json(200, &key_set(keys));
        let script = Arc::new(Mutex::new(Script {
            answer,
            bearer: None,
            seen: Vec::new(),
        }));
        let router = Router::new()
            .fallback(publish)
            .with_state(Arc::clone(&script));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            name: name.to_owned(),
            url,
            script,
            server,
        }
    }

    /// The operator's configuration of it: every algorithm, and `byokd` as the audience.
    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig {
            jwks_url: self.url.clone(),
            ..issuer_config(&self.name)
        }
    }

    /// Publishes these from now on.
    pub(crate) fn publish(&self, keys: &[&TokenKey]) {
        self.answer(Reply::json(200, &key_set(keys)));
    }

    /// Answers with this from now on.
    pub(crate) fn answer(&self, reply: Reply) {
        self.script().answer = reply;
    }

    /// Asks for this token from now on.
    pub(crate) fn ask_for(&self, bearer: &str) {
        self.script().bearer = Some(bearer.to_owned());
    }

    /// The number of requests.
    pub(crate) fn fetches(&self) -> usize {
        self.script().seen.len()
    }

    /// The headers of the requests, in order.
    pub(crate) fn seen(&self) -> Vec<HeaderMap> {
        self.script().seen.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An issuer without published keys.
pub(crate) fn issuer_config(name: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: name.to_owned(),
        audience: "byokd".to_owned(),
        algorithms: vec![
            TokenAlgorithm::EdDSA,
            TokenAlgorithm::ES256,
            TokenAlgorithm::RS256,
        ],
        jwks_url: String::new(),
        jwks_file: Default::default(),
        jwks_ca_file: Default::default(),
        jwks_token_file: Default::default(),
        longest_life_seconds: 24 * 60 * 60,
    }
}

async fn publish(
    State(script): State<Arc<Mutex<Script>>>,
    request: Request<Body>,
) -> Response<Body> {
    let reply = {
        let mut script = script.lock().unwrap();
        script.seen.push(request.headers().clone());
        let shown = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        match &script.bearer {
            Some(wanted) if shown != Some(&format!("Bearer {wanted}")) => Reply::text(401, "no"),
            _ => script.answer.clone(),
        }
    };
    reply.send().await
}

struct TlsListener {
    inner: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.inner.accept().await.unwrap();
            // A client that does not trust the certificate may end the connection.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}
