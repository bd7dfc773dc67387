//! The proxy's faults, between a client and PostgreSQL, and byte by byte.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, postgres::PgQueryResult};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{Network, Proxy, postgres, until};

/// Only time separates silence from slowness.
const SILENCE: Duration = Duration::from_millis(200);

async fn insert(database: &mut PgConnection) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::query("INSERT INTO t VALUES (1)")
        .execute(database)
        .await
}

/// A client with a table to write to, through the proxy.
async fn open() -> (Proxy, String, PgConnection) {
    let (proxy, url) = Proxy::before(&postgres::shared().await).await;
    let mut database = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE t (n int)")
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
    (proxy, url, database)
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn connections_are_cut_and_refused() {
    let (proxy, url, mut database) = open().await;
    proxy.cut();
    insert(&mut database).await.unwrap_err();
    let mut database = PgConnection::connect(&url).await.unwrap();
    insert(&mut database).await.unwrap();
    assert_eq!(proxy.accepted(), 2);

    proxy.set(Network::Refuse);
    insert(&mut database).await.unwrap_err();
    PgConnection::connect(&url).await.unwrap_err();
    until("all are closed", async || (proxy.open() == 0).then_some(())).await;
    proxy.set(Network::Pass);
    insert(&mut PgConnection::connect(&url).await.unwrap())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn connections_are_slow_and_frozen() {
    let (proxy, url, mut database) = open().await;
    let started = Instant::now();
    proxy.set(Network::Delay(SILENCE));
    insert(&mut database).await.unwrap();
    assert!(
        started.elapsed() >= SILENCE * 2,
        "there and back: {:?}",
        started.elapsed()
    );

    proxy.set(Network::Blackhole);
    let mut frozen = Box::pin(insert(&mut database));
    timeout(SILENCE, &mut frozen).await.unwrap_err();
    let mut new = Box::pin(PgConnection::connect(&url));
    timeout(SILENCE, &mut new).await.unwrap_err();
    proxy.set(Network::Pass);
    frozen.await.unwrap();
    new.await.unwrap();
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn bytes_pass_whole_in_order_and_to_the_end() {
    const LENGTH: usize = 5_000_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    proxy.set(Network::Delay(Duration::from_millis(20)));
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let sent: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let (mut server, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert!(received == expected);
    server.write_all(b"thanks").await.unwrap();
    drop(server);
    assert_eq!(sending.await.unwrap(), "thanks");
}
