//! The contract's port: connections, their encryption, and how much one of them may ask for.
//!
//! tonic's own server cannot replace certificates while it runs, jitter the age of connections or count what a client
//! gives up on; hyper, on which it stands, can. What is served comes in as a service of hyper's and is not looked at.
//!
//! Invariants: every wait has a limit: the handshake, the age of a connection, the calls that are still running when it
//! has reached it. Connections are counted, and one too many is closed at once. A handshake never keeps another waiting.
//!
//! Not here: who may call what (`identity`, `grpc`), and how many calls run at once in all (`grpc::admission`).

mod connection;
mod resets;
mod tls;

use std::{convert::Infallible, num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    service::Service,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

pub use tls::{ClientAuth, Tls, TlsFiles};

use crate::identity::Certificate;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// What is waited after an accept failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much is served at once.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections: usize,
    /// Calls at once on one of them.
    pub streams: u32,
    /// How many calls a second one of them may give up on.
    pub resets_per_second: NonZeroU32,
    /// How long one is used, a tenth more or less.
    pub age: Duration,
    /// How long its calls may go on after that.
    pub grace: Duration,
}

/// What is served.
pub trait Served<B>:
    Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<B, S> Served<B> for S where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Serves until `stop` resolves, then until every connection has drained.
pub async fn serve<B>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: ConnectionLimits,
    served: impl Served<B>,
    stop: impl Future<Output = ()>,
) where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let (draining, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => {
                failing = false;
                stream
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections cannot be accepted");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::debug!(
                "a connection was closed: there are as many as limits.connections allows"
            );
            continue;
        };
        let acceptor = tls.as_ref().map(|tls| tls.acceptor());
        let (served, draining) = (served.clone(), draining.subscribe());
        connections.spawn(serve_one(stream, place, acceptor, limits, served, draining));
    }
    // Accept no new calls while the others finish.
    drop(listener);
    draining.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn serve_one<B>(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    acceptor: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    served: impl Served<B>,
    draining: watch::Receiver<bool>,
) where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let Some(acceptor) = acceptor else {
        return connection::serve(stream, None, limits, served, draining).await;
    };
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let shown = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::first);
            let certificate = shown.map(|der| Arc::new(Certificate::read(der)));
            connection::serve(stream, certificate, limits, served, draining).await;
        }
        // The peer got a TLS alert.
        Ok(Err(error)) => tls::refused(&error),
        Err(_) => tracing::debug!("a TLS handshake took longer than {HANDSHAKE:?}"),
    }
}
