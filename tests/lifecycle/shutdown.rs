//! Shutdown: health changes first, then connections close; each admitted call is answered, and every audit
//! line is written.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use byokd::domain::caller::Role;
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinHandle};
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::admin::{Admin, serve};
use crate::support::{
    Process, Reply, Site, ask, lines, new_key, openai_key, stream::verified, until,
    wait::until_within,
};

/// A delay longer than any test: a signal ends it.
const LONG: &str = "60000";
/// Much less than that, and ample for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(30);

async fn start(site: &Site, delay_ms: &str) -> (Process, Admin) {
    let mut command = serve(site);
    command.env("BYOKD__SERVER__SHUTDOWN_DELAY_MS", delay_ms);
    let mut process = site.spawn(command);
    let admin = Admin::of(&mut process).await;
    let process = site.listening(process).await;
    admin.ready().await;
    (process, admin)
}

fn host(process: &Process) -> &str {
    process.address.strip_prefix("http://").unwrap()
}

/// An idle connection; its task ends with the connection.
async fn idle(process: &Process) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let tcp = TcpStream::connect(host(process)).await.unwrap();
    let (send, connection) = h2::client::handshake(tcp).await.unwrap();
    (send, tokio::spawn(connection))
}

/// Calls without a pause, and counts them; a failure before `hurried` is a fault.
async fn load(
    process: &Process,
    hurried: &Arc<AtomicBool>,
    granted: &Arc<AtomicUsize>,
) -> JoinHandle<()> {
    let mut resolver = process.keys(Role::Resolver).await;
    let (hurried, granted) = (Arc::clone(hurried), Arc::clone(granted));
    tokio::spawn(async move {
        loop {
            let before = hurried.load(Ordering::SeqCst);
            match resolver
                .resolve_credentials(ask("acme", "llama", "", ""))
                .await
            {
                Ok(_) => _ = granted.fetch_add(1, Ordering::SeqCst),
                // Sent before GOAWAY and refused by it: the server did not begin the call, so it may be
                // retried elsewhere.
                Err(status) if before || hurried.load(Ordering::SeqCst) => {
                    // CANCELLED is tonic's word for a call that it never sent.
                    let known = [Code::Unavailable, Code::Cancelled].contains(&status.code());
                    assert!(known || met_goaway(&status), "{status:?}");
                    return;
                }
                Err(status) => panic!("a call failed while calls were taken: {status:?}"),
            }
        }
    })
}

/// Whether a call failed because the server accepts no new ones, and for no other reason.
fn met_goaway(status: &tonic::Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_go_away()
                && error.is_remote()
                && error.reason() == Some(h2::Reason::NO_ERROR);
        }
        cause = error.source();
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_call_and_no_line() {
    let site = Site::new().await;
    let (mut process, admin) = start(&site, LONG).await;
    let (hurried, granted) = (Arc::default(), Arc::default());
    let mut loads = Vec::new();
    for _ in 0..4 {
        loads.push(load(&process, &hurried, &granted).await);
    }
    // Started before the shutdown, and waiting for a provider.
    let gate = Arc::new(Semaphore::new(0));
    site.provider
        .on_list(Reply::models(&["small-2030"]).behind(&gate));
    site.provider.forget_requests();
    let mut keys = process.keys(Role::Admin).await;
    let begun = tokio::spawn(async move {
        keys.set_key(new_key("acme", "openai", &openai_key(1)))
            .await
    });
    until("the provider is asked", async || {
        (!site.provider.requests().is_empty()).then_some(())
    })
    .await;
    let (_send, connection) = idle(&process).await;

    // Not ready at once, on both ports; old and new connections are still served.
    process.terminate();
    admin.awaits("stopping").await;
    let health = HealthClient::new(
        Endpoint::from_shared(process.address.clone())
            .unwrap()
            .connect_lazy(),
    );
    let status = health
        .clone()
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner()
        .status();
    assert_eq!(status, ServingStatus::NotServing);
    let seen = granted.load(Ordering::SeqCst);
    until("callers are answered", async || {
        (granted.load(Ordering::SeqCst) >= seen + 100).then_some(())
    })
    .await;
    let mut late = process.keys(Role::Resolver).await;
    late.resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    granted.fetch_add(1, Ordering::SeqCst);
    assert!(!connection.is_finished(), "no GOAWAY yet");

    // The second signal cuts the delay: new connections are refused, and idle ones end.
    hurried.store(true, Ordering::SeqCst);
    process.terminate();
    let goaway = tokio::time::timeout(AT_ONCE, connection)
        .await
        .expect("GOAWAY")
        .unwrap();
    goaway.expect("it ends in order");
    until_within(AT_ONCE, "new connections are refused", async || {
        TcpStream::connect(host(&process)).await.err()
    })
    .await;
    for load in loads {
        load.await.unwrap();
    }
    // The server still waits for the last call, and health shows it.
    assert!(process.has_ended().is_none() && !begun.is_finished());
    admin.awaits("stopping").await;
    gate.add_permits(10);
    let set = begun.await.unwrap().unwrap().into_inner();
    assert_eq!(set.key.unwrap().generation, 1);
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.said());
    assert!(!process.said().contains("cut off"), "{}", process.said());

    let file = site.data().join("audit.jsonl");
    let report = verified(&site.path("audit.key"), &[&file]);
    assert!(
        report.sound() && report.chains.iter().all(|chain| chain.closed),
        "{report:#?}"
    );
    let stream = lines(&file);
    let count = |event: &str| stream.iter().filter(|line| line["event"] == event).count();
    assert_eq!(count("changed"), 1);
    assert!(
        count("resolved") >= granted.load(Ordering::SeqCst),
        "each answer has its line"
    );
    assert_eq!(stream.last().unwrap()["event"], "closed");
}

#[tokio::test]
async fn a_delay_ends_by_itself_and_ctrl_c_knows_none() {
    for (delay, signal) in [("300", "-TERM"), (LONG, "-INT")] {
        let site = Site::new().await;
        let (mut process, _) = start(&site, delay).await;
        process.signal(signal);
        let status = until_within(AT_ONCE, "byokd ends", async || process.has_ended()).await;
        assert_eq!(status.code(), Some(0), "{}", process.said());
    }
}

/// Clients that watch health hold a stream open for ever; the server ends it.
#[tokio::test]
async fn health_watches_are_ended_and_delay_nothing() {
    let site = Site::new().await;
    let (mut process, admin) = start(&site, LONG).await;
    let mut streams = Vec::new();
    for address in [process.address.clone(), format!("http://{}", admin.address)] {
        let channel = Endpoint::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let watch = HealthClient::new(channel)
            .watch(HealthCheckRequest::default())
            .await
            .unwrap();
        let mut stream = watch.into_inner();
        assert_eq!(
            stream.next().await.unwrap().unwrap().status(),
            ServingStatus::Serving
        );
        streams.push(stream);
    }
    process.terminate();
    for stream in &mut streams {
        assert_eq!(
            stream.next().await.unwrap().unwrap().status(),
            ServingStatus::NotServing
        );
    }
    process.terminate();
    // The contract port ends the stream; the admin port cuts it at the very end.
    assert!(streams[0].next().await.is_none());
    let status = until_within(AT_ONCE, "byokd ends", async || process.has_ended()).await;
    assert_eq!(status.code(), Some(0), "{}", process.said());
    assert!(!process.said().contains("cut off"), "{}", process.said());
    assert!(!matches!(streams[1].next().await, Some(Ok(_))));
}

/// A call that takes longer than the drain is cut, and the shutdown is orderly all the same.
#[tokio::test]
#[ignore = "takes half a minute: ./tests/run --full --long"]
async fn an_endless_call_is_cut_and_the_stream_is_whole() {
    let site = Site::new().await;
    let mut command = serve(&site);
    command
        .env("BYOKD__LIMITS__LONGEST_DEADLINE_MS", "60000")
        .env("BYOKD__LIMITS__DEFAULT_DEADLINE_MS", "60000");
    let process = site.spawn(command);
    let mut process = site.listening(process).await;
    let tcp = TcpStream::connect(host(&process)).await.unwrap();
    let (send, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(
        "http://byokd/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    )
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .body(())
    .unwrap();
    // A stream that its client never ends.
    let (answer, _open) = send
        .ready()
        .await
        .unwrap()
        .send_request(request, false)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.said());
    assert!(
        process.said().contains("were cut off"),
        "{}",
        process.said()
    );
    assert!(connection.await.is_ok());
    let report = verified(&site.path("audit.key"), &[&site.data().join("audit.jsonl")]);
    assert!(report.sound() && report.chains[0].closed, "{report:#?}");
}
