//! The limit: a tonic server that receives the same calls and returns the same answer, and does nothing else.
//!
//! It is this program again, as a process of its own: `--bare` and a folder. Its answer is the one that byokd gave.

use std::{
    convert::Infallible,
    fs,
    io::Read as _,
    path::Path,
    pin::Pin,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use byokd::contract::v1::{ResolveCredentialsRequest, ResolveCredentialsResponse};
use prost::Message as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};
use tonic_prost::ProstCodec;

use crate::{certificates::Certificates, client::Where};

/// How long a start may take.
const STARTS: Duration = Duration::from_secs(60);

/// A running bare server.
pub(crate) struct Bare {
    server: Child,
    /// It ends when this is closed.
    stdin: Option<ChildStdin>,
    folder: TempDir,
}

impl Bare {
    pub(crate) async fn start(
        under: &[String],
        answer: &ResolveCredentialsResponse,
        encrypted: Option<&Certificates>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("answer"), answer.encode_to_vec()).unwrap();
        if let Some(certificates) = encrypted {
            for (name, text) in certificates.files() {
                fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let mut words = under.to_vec();
        words.push(std::env::current_exe().unwrap().display().to_string());
        let mut server = Command::new(&words[0])
            .args(&words[1..])
            .arg("--bare")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = server.stdin.take();
        let bare = Self {
            server,
            stdin,
            folder,
        };
        let (address, began) = (bare.folder.path().join("address"), Instant::now());
        while !fs::read_to_string(&address).is_ok_and(|text| text.ends_with('\n')) {
            assert!(began.elapsed() < STARTS, "the bare server did not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bare
    }

    pub(crate) fn at(&self) -> Where {
        let host = fs::read_to_string(self.folder.path().join("address"))
            .unwrap()
            .trim()
            .to_owned();
        Where {
            host,
            process: self.server.id(),
        }
    }

    /// Ends it in order and waits for that.
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        self.server.wait().unwrap();
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // The process that this one started, and no other.
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}

/// What `--bare` runs, until its standard input is closed.
pub(crate) fn run(folder: &Path) {
    let answer =
        ResolveCredentialsResponse::decode(&*fs::read(folder.join("answer")).unwrap()).unwrap();
    // Without one, every span and event of the libraries takes a slow road.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _closed = std::io::stdin().read(&mut [0]);
        let _nobody_waits = stop.send(());
    });
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        fs::write(
            folder.join("address"),
            format!("{}\n", listener.local_addr().unwrap()),
        )
        .unwrap();
        let mut server = Server::builder();
        if let Ok(certificate) = fs::read(folder.join("server.crt")) {
            let read = |name: &str| fs::read(folder.join(name)).unwrap();
            let tls = ServerTlsConfig::new()
                .identity(Identity::from_pem(certificate, read("server.key")))
                .client_ca_root(Certificate::from_pem(read("ca.crt")));
            server = server.tls_config(tls).unwrap();
        }
        let serving = server
            .add_service(Nothing(Arc::new(answer)))
            .serve_with_incoming(NoDelay(TcpListenerStream::new(listener)));
        tokio::select! {
            ended = serving => ended.unwrap(),
            _ = stopped => {}
        }
    });
}

/// As tonic sets it on the sockets that it accepts itself.
struct NoDelay(TcpListenerStream);

impl tokio_stream::Stream for NoDelay {
    type Item = std::io::Result<tokio::net::TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = Pin::new(&mut self.0).poll_next(context);
        if let Poll::Ready(Some(Ok(stream))) = &accepted {
            stream.set_nodelay(true).unwrap();
        }
        accepted
    }
}

/// The service: what tonic generates for one unary method.
#[derive(Clone)]
struct Nothing(Arc<ResolveCredentialsResponse>);

impl NamedService for Nothing {
    const NAME: &'static str = "byok.v1.KeyService";
}

impl Service<http::Request<Body>> for Nothing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::default())
                .unary(method, request)
                .await)
        })
    }
}

impl UnaryService<ResolveCredentialsRequest> for Nothing {
    type Response = ResolveCredentialsResponse;
    type Future = std::future::Ready<Result<tonic::Response<Self::Response>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<ResolveCredentialsRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new((*self.0).clone())))
    }
}
