//! A TCP proxy with the faults of a network, switched while it runs. It forwards bytes and reads none of them.
//!
//! ```ignore
//! let (proxy, url) = Proxy::before(&database_url).await;
//! proxy.set(Network::Blackhole);
//! ```

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use url::Url;

const CHUNK: usize = 16 * 1024;
/// The bytes that a direction holds before it stops reading, as the buffers of a network would.
const CHUNKS_HELD: usize = 64;

/// The state of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Pass,
    /// Connections are closed: the open ones at once, new ones as they arrive.
    Refuse,
    /// Connections are accepted and nothing passes; open ones freeze. Bytes that were sent meanwhile arrive
    /// when the network passes again, as TCP would have it.
    Blackhole,
    /// Each direction's bytes arrive this much later, in order.
    Delay(Duration),
}

/// A proxy on a loopback port of its own. It and its connections end with the value.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    /// The number of cuts.
    cuts: watch::Sender<u32>,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, cuts) = (watch::Sender::new(Network::Pass), watch::Sender::new(0));
        let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let connection = Connection {
            target,
            network: network.subscribe(),
            cuts: cuts.subscribe(),
        };
        let counters = (Arc::clone(&accepted), Arc::clone(&open));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut connection, open) = (connection.clone(), Arc::clone(&counters.1));
                // Only cuts from now on are meant.
                connection.cuts.mark_unchanged();
                counters.0.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = connection.carry(client).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            network,
            cuts,
            accepted,
            open,
            listening,
        }
    }

    /// A proxy before the server that a URL names, and the URL through it.
    pub(crate) async fn before(url: &str) -> (Self, String) {
        let mut url: Url = url.parse().unwrap();
        let target = format!(
            "{}:{}",
            url.host_str().unwrap(),
            url.port_or_known_default().unwrap_or(5432)
        );
        let target = tokio::net::lookup_host(target)
            .await
            .unwrap()
            .next()
            .unwrap();
        let proxy = Self::start(target).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.into())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Drops the open connections, once; new ones pass.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.set(Network::Refuse);
    }
}

#[derive(Clone)]
struct Connection {
    target: SocketAddr,
    network: watch::Receiver<Network>,
    cuts: watch::Receiver<u32>,
}

impl Connection {
    async fn carry(mut self, client: TcpStream) -> io::Result<()> {
        let (mut closing, mut network) = (self.network.clone(), self.network.clone());
        let both_ways = async {
            passing(&mut network).await;
            let server = TcpStream::connect(self.target).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let there = pump(from_client, to_server, network.clone());
            tokio::try_join!(there, pump(from_server, to_client, network)).map(|_| ())
        };
        tokio::select! {
            ended = both_ways => ended,
            _ = closing.wait_for(|network| *network == Network::Refuse) => Ok(()),
            _ = self.cuts.changed() => Ok(()),
        }
    }
}

/// Waits while nothing passes; returns the delay of the bytes that pass.
async fn passing(network: &mut watch::Receiver<Network>) -> Duration {
    loop {
        match *network.borrow_and_update() {
            Network::Pass => return Duration::ZERO,
            Network::Delay(held) => return held,
            Network::Blackhole | Network::Refuse => {}
        }
        if network.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One direction. It reads on while it holds, so that a delay does not reduce the bandwidth.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    let (hold, mut held) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_HELD);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            if length == 0 || hold.send((Instant::now(), chunk)).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let write = async move {
        while let Some((came, chunk)) = held.recv().await {
            let delay = passing(&mut network).await;
            tokio::time::sleep_until(came + delay).await;
            // Held bytes do not pass a network that has failed meanwhile.
            passing(&mut network).await;
            to.write_all(&chunk).await?;
        }
        passing(&mut network).await;
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(|_| ())
}
