//! Admission: limits for all calls and for one connection, and deadlines.

mod connections;
mod deadlines;
mod overload;

use bytes::Bytes;
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tonic::{Code, Request};

use crate::support::{Byokd, ask, new_key};

const RESOLVE: &str = "/byok.v1.KeyService/ResolveCredentials";

/// A client that speaks HTTP/2 and violates its conventions.
struct Rough {
    send: SendRequest<Bytes>,
    /// Ends with the connection.
    connection: JoinHandle<Result<(), h2::Error>>,
    pings: h2::PingPong,
    /// The number of concurrent calls that the server allows.
    streams: tokio::sync::watch::Receiver<usize>,
}

impl Rough {
    async fn connect(byokd: &Byokd) -> Self {
        let tcp = TcpStream::connect(byokd.address()).await.unwrap();
        let (send, mut connection) = h2::client::handshake(tcp).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        let (limit, streams) =
            tokio::sync::watch::channel(connection.max_concurrent_send_streams());
        let connection = tokio::spawn(async move {
            std::future::poll_fn(|context| {
                let polled = std::pin::Pin::new(&mut connection).poll(context);
                limit.send_replace(connection.max_concurrent_send_streams());
                polled
            })
            .await
        });
        Self {
            send,
            connection,
            pings,
            streams,
        }
    }

    /// Begins a call and sends nothing of its message.
    async fn stall(
        &mut self,
        path: &str,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let request = http::Request::post(format!("http://byokd{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut send = self.send.clone().ready().await?;
        send.send_request(request, false)
    }

    /// Waits until the server has processed everything so far.
    async fn settle(&mut self) -> Result<(), h2::Error> {
        self.pings.ping(h2::Ping::opaque()).await.map(|_| ())
    }
}

#[tokio::test]
async fn a_request_is_no_larger_than_64_kib_and_its_headers_no_larger_than_16() {
    let byokd = Byokd::start().await;
    let mut admin = byokd.admin();
    for bytes in [65 * 1024, 1024 * 1024] {
        let large = new_key("acme", "openai", &"k".repeat(bytes));
        let status = admin.set_key(large).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{bytes}: {status:?}");
        assert!(!status.message().contains("kkk"));
    }
    // Just below it the request is read, and refused for its content.
    let large = new_key("acme", "openai", &"k".repeat(63 * 1024));
    assert_eq!(
        crate::support::refused(admin.set_key(large).await),
        "KEY_MALFORMED"
    );
    for (count, bytes) in [(1, 17 * 1024), (600, 8), (64, 1024)] {
        let mut request = Request::new(ask("acme", "llama", "", ""));
        for at in 0..count {
            let name: tonic::metadata::AsciiMetadataKey = format!("x-{at}").parse().unwrap();
            request
                .metadata_mut()
                .insert(name, "v".repeat(bytes).parse().unwrap());
        }
        byokd
            .resolver()
            .resolve_credentials(request)
            .await
            .unwrap_err();
        // The connection continues, or another one does.
        byokd.resolve("acme", "llama", "").await.unwrap();
    }
    assert_eq!(byokd.workspace("acme").await.revision, 0);
}
