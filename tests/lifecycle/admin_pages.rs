//! The pages of the admin port; no caller can keep others from it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use byokd::{contract::v1, domain::caller::Role};

use crate::support::admin::{Admin, serve};
use crate::support::{Byokd, Site, ask, new_key, openai_key, until};

/// As many as the admin port accepts.
const CONNECTIONS: usize = 128;

#[tokio::test]
async fn it_serves_three_pages_and_health_on_one_port() {
    let byokd = Byokd::start().await;
    let admin = Admin::at(byokd.admin_address());
    admin.ready().await;
    let metrics = admin.http.get(admin.url("/metrics")).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    assert_eq!(
        metrics.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for path in [
        "/",
        "/readyz/",
        "/metrics2",
        "/byok.v1.KeyService/ResolveCredentials",
        "/debug/pprof",
    ] {
        let (status, text) = admin.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(text.contains("/livez, /readyz and /metrics"), "{text}");
    }
    assert_eq!(
        admin
            .http
            .post(admin.url("/livez"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    assert_eq!(admin.health("byok.v1.Unknown").await, Err(Code::NotFound));
}

#[tokio::test]
async fn the_metrics_count_calls_and_name_no_workspace() {
    let site = Site::new().await;
    let mut process = site.start_as(serve(&site)).await;
    let admin = Admin::of(&mut process).await;
    admin.ready().await;
    let workspace = "acme-of-the-test";
    let key = v1::SetKeyRequest {
        enable_byo: true,
        ..new_key(workspace, "openai", &openai_key(1))
    };
    process.keys(Role::Admin).await.set_key(key).await.unwrap();
    let mut resolver = process.keys(Role::Resolver).await;
    for model in ["llama", "small", "no-such-model"] {
        let _said_below = resolver
            .resolve_credentials(ask(workspace, model, "", ""))
            .await;
    }
    let (_, metrics) = admin.get("/metrics").await;
    for line in [
        "byokd_resolutions_total{billing_mode=\"unmetered\",outcome=\"granted\",reason=\"\"} 1",
        "byokd_resolutions_total{billing_mode=\"byo\",outcome=\"granted\",reason=\"\"} 1",
        "byokd_resolutions_total{billing_mode=\"none\",outcome=\"refused\",reason=\"MODEL_UNKNOWN\"} 1",
        "rpc_server_call_duration_seconds_count{error_type=\"MODEL_UNKNOWN\",\
         rpc_method=\"byok.v1.KeyService/ResolveCredentials\",rpc_response_status_code=\"NOT_FOUND\",\
         rpc_system_name=\"grpc\"} 1",
        "byokd_provider_check_duration_seconds_count{provider=\"openai\",verdict=\"valid\"} 1",
        "byokd_directory_lookups_total{result=\"hit\"}",
        "byokd_build_info{",
        "byokd_ready 1",
    ] {
        assert!(
            metrics.lines().any(|shown| shown.starts_with(line)),
            "{line}\n{metrics}"
        );
    }
    assert!(!metrics.contains(workspace), "{metrics}");
}

/// HTTP/1 and HTTP/2 by hand: a probe sends no more than this.
#[tokio::test]
async fn a_probe_by_hand_is_answered_in_either_protocol() {
    let byokd = Byokd::start().await;
    Admin::at(byokd.admin_address()).ready().await;
    let mut stream = TcpStream::connect(byokd.admin_address()).await.unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\nready\n"),
        "{answer}"
    );
    let tcp = TcpStream::connect(byokd.admin_address()).await.unwrap();
    let (send, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://byokd/livez").body(()).unwrap();
    let (answer, _) = send
        .ready()
        .await
        .unwrap()
        .send_request(request, true)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    connection.abort();
}

#[tokio::test]
async fn one_admin_connection_too_many_is_closed_and_later_ones_are_served() {
    let byokd = Byokd::start().await;
    let admin = Admin::at(byokd.admin_address());
    admin.ready().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(byokd.admin_address()).await.unwrap());
    }
    until("there is no room", async || {
        let mut one_more = TcpStream::connect(byokd.admin_address()).await.unwrap();
        let mut said = Vec::new();
        let end =
            tokio::time::timeout(Duration::from_secs(1), one_more.read_to_end(&mut said)).await;
        end.is_ok().then_some(())
    })
    .await;
    assert!(admin.http.get(admin.url("/livez")).send().await.is_err());
    silent.clear();
    until("there is room", async || {
        admin.http.get(admin.url("/livez")).send().await.ok()
    })
    .await;
}
