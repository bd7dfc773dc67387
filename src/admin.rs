//! The admin port, for those who watch the process: `/livez`, `/readyz` and `/metrics` over HTTP/1, and `grpc.health.v1`
//! over HTTP/2, all in clear text on one port: a kubelet's probe has no certificate.
//!
//! Invariants: it serves no workspace, no secret and no change, and needs no token; that is why it may listen where the
//! contract may not. `/livez` asks nothing of anybody: it answers as long as the process does, whatever fails around it.
//! Everything is bounded: connections and how long one is used, calls on one, an answer's time, what is read of a
//! request.
//!
//! Not here: what is awaited, and what is measured; both are asked of the functions that come in.

mod place;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tonic::{Status, service::Routes, transport::Server};
use tonic_health::pb::health_server::{Health, HealthServer};

/// Connections at once; one more is closed.
const CONNECTIONS: usize = 128;
/// How long one is used before it is cut, idle or not: half of it, then the other half as a grace.
const AGE: Duration = Duration::from_secs(150);
/// Calls at once on one of them.
const STREAMS: u32 = 16;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// All headers of a request together, in bytes.
const HEADERS: u32 = 16 * 1024;
/// The longest message of a health check, in bytes: it names a service.
const MESSAGE: usize = 1024;

/// What Prometheus' text format is called.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until `stop` resolves. `awaited` says what keeps the process from being ready, a line each; `metrics` is
/// everything measured, in Prometheus' text format.
pub async fn serve(
    listener: TcpListener,
    health: HealthServer<impl Health>,
    awaited: impl Fn() -> Arc<[String]> + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> Result<String, String> + Clone + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let pages = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(async move || readiness(&awaited())))
        .route("/metrics", get(async move || exposition(metrics())))
        .fallback(nothing_here);
    Server::builder()
        .accept_http1(true)
        .timeout(ANSWER)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADERS)
        .max_connection_age(AGE)
        .max_connection_age_grace(AGE)
        .add_routes(Routes::from(pages).add_service(health.max_decoding_message_size(MESSAGE)))
        .serve_with_incoming_shutdown(place::bounded(listener, CONNECTIONS), stop)
        .await
}

fn readiness(awaited: &[String]) -> (StatusCode, String) {
    match awaited {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        awaited => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", awaited.join("\n")),
        ),
    }
}

/// An empty page would look like a byokd that is well.
fn exposition(metrics: Result<String, String>) -> Response {
    match metrics {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Each of the two protocols has its own way to say so.
async fn nothing_here(headers: HeaderMap) -> Response {
    let asked = headers
        .get(header::CONTENT_TYPE)
        .map(|kind| kind.as_bytes());
    if asked.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        return Status::unimplemented("the admin port serves grpc.health.v1 only")
            .into_http::<axum::body::Body>();
    }
    let pages = "the admin port serves /livez, /readyz and /metrics\n";
    (StatusCode::NOT_FOUND, pages).into_response()
}
