//! Connections: their number, the load of one, and its age.

use std::{error::Error as _, sync::Arc, time::Duration};

use byokd::{contract::v1::key_service_client::KeyServiceClient, domain::caller::Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};
use tonic::{Code, transport::Endpoint};

use super::{RESOLVE, Rough};
use crate::support::{Byokd, Reply, ask, new_key, openai_key, requests::Bearer, until};

/// Nothing arrives but the end, at once or after a while.
async fn is_closed(mut stream: TcpStream) {
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    let _reset = end.expect("it is not closed");
    assert!(answer.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_stay() {
    let byokd = Byokd::start_with(|config| config.limits.connections = 3).await;
    byokd.resolve("acme", "llama", "").await.unwrap();
    let (mut first, mut second) = (Rough::connect(&byokd).await, Rough::connect(&byokd).await);
    for rough in [&mut first, &mut second] {
        rough.settle().await.unwrap();
    }
    for _ in 0..5 {
        is_closed(TcpStream::connect(byokd.address()).await.unwrap()).await;
    }
    byokd.resolve("acme", "llama", "").await.unwrap();
    for rough in [&mut first, &mut second] {
        rough.settle().await.unwrap();
    }
    first.connection.abort();
    until("there is room again", async || {
        let mut another = Rough::connect(&byokd).await;
        another.settle().await.ok()
    })
    .await;
    second.settle().await.unwrap();
}

#[tokio::test]
async fn a_connection_has_a_limit_of_concurrent_calls() {
    let byokd = Byokd::start_with(|config| config.limits.streams_per_connection = 7).await;
    let mut rough = Rough::connect(&byokd).await;
    rough.settle().await.unwrap();
    rough
        .streams
        .wait_for(|streams| *streams == 7)
        .await
        .unwrap();
}

/// A client that connects and sends nothing holds a permit for some seconds, and blocks no other.
#[tokio::test]
async fn a_silent_connection_is_cut() {
    let byokd = Byokd::start_with(|config| config.limits.connections = 5).await;
    let mut silent = Vec::new();
    for said in [
        &b""[..],
        b"PRI",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"\x16\x03",
    ] {
        let mut stream = TcpStream::connect(byokd.address()).await.unwrap();
        stream.write_all(said).await.unwrap();
        silent.push(stream);
    }
    byokd.resolve("acme", "llama", "").await.unwrap();
    for stream in silent {
        is_closed(stream).await;
    }
    // Data that is not HTTP/2 closes the connection without an answer.
    let mut stream = TcpStream::connect(byokd.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: byokd\r\n\r\n")
        .await
        .unwrap();
    is_closed(stream).await;
    until("there is room again", async || {
        Rough::connect(&byokd).await.settle().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_client_that_cancels_too_fast_is_cut_and_no_other() {
    let byokd = Byokd::start_with(|config| config.limits.resets_per_second = 40).await;
    byokd.resolve("acme", "llama", "").await.unwrap();
    let mut other = Rough::connect(&byokd).await;
    // As many cancellations as concurrent calls are allowed.
    for _ in 0..40 {
        let (_answer, mut body) = other.stall(RESOLVE).await.unwrap();
        other.settle().await.unwrap();
        body.send_reset(h2::Reason::CANCEL);
    }
    let mut attacker = Rough::connect(&byokd).await;
    let mut begun = 0;
    let cut = loop {
        let Ok((_answer, mut body)) = attacker.stall(RESOLVE).await else {
            break true;
        };
        // After the server has begun the call; before that, a cancellation costs it nothing.
        if attacker.settle().await.is_err() {
            break true;
        }
        body.send_reset(h2::Reason::CANCEL);
        begun += 1;
        if begun == 20_000 {
            break false;
        }
    };
    assert!(cut, "{begun} calls were given up");
    assert!(begun >= 40, "cut after {begun}");
    other.settle().await.unwrap();
    byokd.resolve("acme", "llama", "").await.unwrap();
}

/// Calls that end before the server reads them are bounded, too.
#[tokio::test]
async fn a_burst_of_cancelled_calls_is_cut() {
    // Fewer than a busy machine can cancel in a second.
    let byokd = Byokd::start_with(|config| config.limits.resets_per_second = 100).await;
    let mut attacker = Rough::connect(&byokd).await;
    let mut begun = 0_u32;
    while begun < 100_000 {
        let Ok((_answer, mut body)) = attacker.stall(RESOLVE).await else {
            break;
        };
        body.send_reset(h2::Reason::CANCEL);
        begun += 1;
    }
    let ended = attacker.connection.await.unwrap();
    assert!(ended.is_err(), "{begun}: {ended:?}");
    byokd.resolve("acme", "llama", "").await.unwrap();
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
async fn an_old_connection_is_closed_without_an_error() {
    let byokd = Byokd::start_with(|config| config.limits.connection_age_seconds = 1).await;
    let gate = Arc::new(Semaphore::new(0));
    byokd
        .provider
        .on_list(Reply::models(&["small-2030"]).behind(&gate));
    // A call that runs when its connection reaches its age.
    let mut admin = byokd.admin();
    let running = tokio::spawn(async move {
        admin
            .set_key(new_key("acme", "openai", &openai_key(1)))
            .await
    });
    until("it runs", async || {
        (!byokd.provider.requests().is_empty()).then_some(())
    })
    .await;
    let channel = Endpoint::from_shared(format!("http://{}", byokd.address()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let bearer = Bearer::new(&byokd.token(&[Role::Resolver], "*", &[]));
    let (mut calls, mut not_sent) = (0, 0);
    for _ in 0..3 {
        // After GOAWAY this connection ends once it has no calls.
        let rough = Rough::connect(&byokd).await;
        while !rough.connection.is_finished() {
            let mut keys = KeyServiceClient::with_interceptor(channel.clone(), bearer.clone());
            match keys.resolve_credentials(ask("acme", "llama", "", "")).await {
                Ok(_) => calls += 1,
                // tonic's client fails the calls that it had queued and not sent when GOAWAY arrived.
                Err(status) if status.code() == Code::Cancelled && status.source().is_some() => {
                    not_sent += 1
                }
                Err(status) => panic!("{status:?}"),
            }
        }
        rough.connection.await.unwrap().unwrap();
    }
    eprintln!("{calls} calls over three ages of a connection; {not_sent} were not sent");
    assert!(calls > 0 && not_sent <= 6, "{calls}, {not_sent}");
    gate.add_permits(100);
    running.await.unwrap().unwrap();
}
