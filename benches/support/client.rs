//! The client of the servers that are measured: HTTP/2 as a gRPC client speaks it, and as little else as possible.
//!
//! It runs on one thread. Where calls come at a rate, each one's time counts from the moment it was due, whether or not
//! the client was able to send it then (so a slow server cannot hide what it makes others wait).

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

use byokd::contract::v1::ResolveCredentialsRequest;

use crate::site::processor;

/// Calls that are due and not answered, at the most. Beyond it a rate is more than the server can bear; a processor that
/// was away for a moment is none.
const OUTSTANDING: usize = 10_000;

/// Where a server listens, and its process.
#[derive(Clone)]
pub(crate) struct Where {
    pub(crate) host: String,
    pub(crate) process: u32,
}

/// What is called, and how.
#[derive(Clone)]
pub(crate) struct Call {
    headers: HeaderMap,
    /// The next call's message.
    next: Arc<dyn Fn() -> Bytes + Send + Sync>,
    encrypted: Option<TlsConnector>,
}

/// What a number of calls felt.
#[derive(Default)]
pub(crate) struct Felt {
    /// In ms, of the calls that were answered.
    pub(crate) took: Vec<f64>,
    pub(crate) failed: usize,
    pub(crate) seconds: f64,
    /// What the server's process used of the processors, in seconds.
    pub(crate) processor: f64,
}

impl Call {
    /// The same all the time.
    pub(crate) fn new(
        token: &str,
        ask: &ResolveCredentialsRequest,
        encrypted: Option<TlsConnector>,
    ) -> Self {
        let message = framed(ask);
        Self::of(token, Arc::new(move || message.clone()), encrypted)
    }

    /// Each call what `next` says.
    pub(crate) fn each(
        token: &str,
        next: impl Fn() -> ResolveCredentialsRequest + Send + Sync + 'static,
    ) -> Self {
        Self::of(token, Arc::new(move || framed(&next())), None)
    }

    fn of(
        token: &str,
        next: Arc<dyn Fn() -> Bytes + Send + Sync>,
        encrypted: Option<TlsConnector>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("te", "trailers".parse().unwrap());
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("user-agent", "byokd-bench/1".parse().unwrap());
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        Self {
            headers,
            next,
            encrypted,
        }
    }

    async fn connect(&self, to: &Where) -> SendRequest<Bytes> {
        let stream = TcpStream::connect(&to.host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 24);
        match &self.encrypted {
            None => {
                let (sender, connection) = builder.handshake(stream).await.unwrap();
                tokio::spawn(connection);
                sender
            }
            Some(tls) => {
                let stream = tls
                    .connect("localhost".try_into().unwrap(), stream)
                    .await
                    .unwrap();
                let (sender, connection) = builder.handshake(stream).await.unwrap();
                tokio::spawn(connection);
                sender
            }
        }
    }

    /// One call; whether it was granted.
    async fn once(&self, sender: &SendRequest<Bytes>) -> Result<bool, h2::Error> {
        let mut sender = sender.clone().ready().await?;
        let scheme = if self.encrypted.is_some() {
            "https"
        } else {
            "http"
        };
        let uri = format!("{scheme}://localhost/byok.v1.KeyService/ResolveCredentials");
        let mut request = Request::post(uri).body(()).unwrap();
        *request.headers_mut() = self.headers.clone();
        let (answer, mut stream) = sender.send_request(request, false)?;
        stream.send_data((self.next)(), true)?;
        let mut body = answer.await?.into_body();
        let mut length = 0;
        while let Some(data) = body.data().await {
            let data = data?;
            length += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        let granted = |trailers: HeaderMap| {
            trailers
                .get("grpc-status")
                .is_some_and(|status| status == "0")
        };
        Ok(length > 5 && body.trailers().await?.is_some_and(granted))
    }

    /// As many calls as possible: on each connection, some at once.
    pub(crate) async fn flood(
        &self,
        to: &Where,
        connections: usize,
        at_once: usize,
        until: Until,
    ) -> Felt {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(self.connect(to).await);
        }
        let (before, began) = (processor(to.process), Instant::now());
        let mut tasks = JoinSet::new();
        for sender in &senders {
            for _ in 0..at_once {
                let (call, sender) = (self.clone(), sender.clone());
                tasks.spawn(async move {
                    let mut own = Felt::default();
                    while !until.reached(began, own.took.len() + own.failed) {
                        let asked = Instant::now();
                        own.count(call.once(&sender).await, asked);
                    }
                    own
                });
            }
        }
        let mut felt = Felt::default();
        for own in tasks.join_all().await {
            felt.took.extend(own.took);
            felt.failed += own.failed;
        }
        felt.seconds = began.elapsed().as_secs_f64();
        felt.processor = processor(to.process) - before;
        felt
    }

    /// Calls at a rate, over this many connections; `None`: the server cannot bear it.
    pub(crate) async fn paced(
        &self,
        to: &Where,
        connections: usize,
        per_second: f64,
        during: Duration,
    ) -> Option<Felt> {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(self.connect(to).await);
        }
        let felt = Arc::<Mutex<Felt>>::default();
        let (before, began) = (processor(to.process), Instant::now());
        let mut tasks = JoinSet::new();
        let due = |count: usize| began + Duration::from_secs_f64(count as f64 / per_second);
        let mut sent = 0;
        while due(sent) < began + during {
            while due(sent) <= Instant::now() {
                let (call, sender, felt) = (
                    self.clone(),
                    senders[sent % connections].clone(),
                    Arc::clone(&felt),
                );
                let asked = due(sent);
                tasks.spawn(async move {
                    let answered = call.once(&sender).await;
                    felt.lock().unwrap().count(answered, asked);
                });
                sent += 1;
            }
            while tasks.try_join_next().is_some() {}
            if tasks.len() > OUTSTANDING {
                return None;
            }
            // Lets the others run, and looks at the sockets.
            tokio::task::yield_now().await;
        }
        tasks.join_all().await;
        let mut felt = std::mem::take(&mut *felt.lock().unwrap());
        felt.seconds = began.elapsed().as_secs_f64();
        felt.processor = processor(to.process) - before;
        Some(felt)
    }
}

/// When a caller stops.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Over(Duration),
    /// After this many calls of its own.
    Calls(usize),
}

impl Until {
    fn reached(self, began: Instant, calls: usize) -> bool {
        match self {
            Self::Over(during) => began.elapsed() >= during,
            Self::Calls(most) => calls >= most,
        }
    }
}

impl Felt {
    fn count(&mut self, answered: Result<bool, h2::Error>, asked: Instant) {
        match answered {
            Ok(true) => self.took.push(asked.elapsed().as_secs_f64() * 1e3),
            Ok(false) | Err(_) => self.failed += 1,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.seconds
    }

    /// Of the server's processor time, in µs for each call.
    pub(crate) fn per_call(&self) -> f64 {
        self.processor * 1e6 / self.took.len() as f64
    }

    /// In ms. NaN: there was none.
    pub(crate) fn percentile(&mut self, part: f64) -> f64 {
        self.took.sort_by(f64::total_cmp);
        match self.took.len() {
            0 => f64::NAN,
            count => self.took[((count - 1) as f64 * part) as usize],
        }
    }
}

/// A message as gRPC sends it.
fn framed(ask: &ResolveCredentialsRequest) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(ask.encoded_len().try_into().unwrap());
    ask.encode(&mut message).unwrap();
    message.freeze()
}
