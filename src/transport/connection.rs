//! One connection, from its first call to its last.
//!
//! Invariants: a connection that is old enough, give or take a tenth, takes no new calls, so that clients rebalance
//! over the replicas and never all at once; its last calls get a grace, then it is cut. A client that does not begin to
//! speak HTTP/2 in time is cut, too, and one that gives up on calls faster than allowed at once (rapid reset,
//! CVE-2023-44487).
//!
//! Not here: what the calls are.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use hyper::{body::Body, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    ConnectionLimits, Served,
    resets::{Counted, Resets},
};
use crate::identity::Certificate;

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
static PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long it may take to say so.
const BEGIN: Duration = Duration::from_secs(5);
/// How often a silent client is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);
/// All headers of a call together, in bytes; a token has up to 8 KiB.
const HEADERS: u32 = 16 * 1024;
/// What waits to be written on one call, in bytes.
const SEND_BUFFER: usize = 256 * 1024;
/// Calls that a client gave up on before they were looked at.
const PENDING_RESETS: usize = 20;

pub(super) async fn serve<B>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    certificate: Option<Arc<Certificate>>,
    limits: ConnectionLimits,
    served: impl Served<B>,
    mut draining: watch::Receiver<bool>,
) where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    // hyper waits for it without a limit.
    let mut said = [0; PREFACE.len()];
    match timeout(BEGIN, stream.read_exact(&mut said)).await {
        Ok(Ok(_)) if said == PREFACE => {}
        _ => {
            tracing::debug!("a connection was closed: its client does not speak HTTP/2");
            return;
        }
    }
    let resets = Arc::new(Resets::new(limits.resets_per_second));
    let stream = Counted::new(stream, &PREFACE, Arc::clone(&resets));
    let service = service_fn(move |mut request: Request<_>| {
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        served.call(request)
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let began = Instant::now();
    let mut end = pin!(sleep_until(later(began, jittered(limits.age))));
    let mut last_calls = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = resets.too_many() => {
                tracing::debug!("a connection was cut: its client gives up on too many calls");
                return;
            }
            _ = draining.wait_for(|draining| *draining), if !last_calls => {}
            () = end.as_mut() => {
                if last_calls {
                    tracing::debug!("a connection was cut: its last calls took too long");
                    return;
                }
            }
        }
        last_calls = true;
        connection.as_mut().graceful_shutdown();
        end.as_mut().reset(later(Instant::now(), limits.grace));
    }
}

fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from)
}

/// A tenth more or less.
fn jittered(age: Duration) -> Duration {
    // Any number that differs from connection to connection does.
    let [chance, ..] = *uuid::Uuid::new_v4().as_bytes();
    age.mul_f64(0.9 + 0.2 * f64::from(chance) / 255.0)
}
