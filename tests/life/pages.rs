//! What the admin port serves, and that nobody is kept from asking it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use super::Admin;
use crate::support::{Byokd, until};

/// As many as the admin port takes.
const CONNECTIONS: usize = 128;

#[tokio::test]
async fn it_serves_three_pages_and_health_on_one_port() {
    let byokd = Byokd::start().await;
    let admin = Admin::at(byokd.admin_address());
    admin.ready().await;
    let metrics = admin.http.get(admin.url("/metrics")).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for path in ["/", "/readyz/", "/metrics2", "/byok.v1.KeyService/ResolveCredentials", "/debug/pprof"] {
        let (status, text) = admin.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(text.contains("/livez, /readyz and /metrics"), "{text}");
    }
    assert_eq!(admin.http.post(admin.url("/livez")).send().await.unwrap().status(), 405);
    assert_eq!(admin.health("byok.v1.Nobody").await, Err(Code::NotFound));
}

/// HTTP/1 and HTTP/2, asked by hand: what a probe sends is no more than this.
#[tokio::test]
async fn a_probe_by_hand_is_answered_in_either_protocol() {
    let byokd = Byokd::start().await;
    Admin::at(byokd.admin_address()).ready().await;
    let mut stream = TcpStream::connect(byokd.admin_address()).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\nready\n"), "{answer}");
    let tcp = TcpStream::connect(byokd.admin_address()).await.unwrap();
    let (send, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://byokd/livez").body(()).unwrap();
    let (answer, _) = send.ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    connection.abort();
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_room_is_found_again() {
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
        let end = tokio::time::timeout(Duration::from_secs(1), one_more.read_to_end(&mut said)).await;
        end.is_ok().then_some(())
    })
    .await;
    assert!(admin.http.get(admin.url("/livez")).send().await.is_err());
    silent.clear();
    until("there is room", async || admin.http.get(admin.url("/livez")).send().await.ok()).await;
}
