//! The admin port: `grpc.health.v1` for those who watch the process.
//!
//! Invariants: it serves no workspace, no secret and no change, and needs no token; that is why it may listen where the
//! contract may not.
//!
//! Absent: metrics and HTTP probes.

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};

/// Serves health until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    health: HealthServer<impl Health>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .add_service(health)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await
}
