//! `byokd healthcheck`, as a container engine runs it: an exit code, and one line with the reason.

use std::{fs, net::SocketAddr, process::Output};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;

use crate::support::{Site, until};

/// The exit code, standard output and standard error.
fn outcome(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn healthcheck(
    site: &Site,
    arguments: &[&str],
    admin_listen: &str,
) -> (Option<i32>, String, String) {
    let mut command = site.command(&[&["healthcheck"], arguments].concat());
    command.env("BYOKD__SERVER__ADMIN_LISTEN", admin_listen);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    outcome(&output.await.unwrap())
}

#[tokio::test]
async fn ready_is_exit_code_0_and_gone_is_2() {
    let site = Site::new().await;
    let printed = site.path("printed");
    let mut byokd = site.listening(site.spawn_to(site.serve(), &printed)).await;
    let admin = until("byokd says where health is", async || {
        let text = fs::read_to_string(&printed).unwrap();
        Some(
            text.split_once("(health on ")?
                .1
                .split_once(')')?
                .0
                .parse::<SocketAddr>()
                .unwrap(),
        )
    })
    .await;

    let ready = (Some(0), "ready\n".to_owned(), String::new());
    // It listens before it is ready, and reports that until then.
    until("byokd is ready", async || {
        let outcome = healthcheck(&site, &["--admin", &admin.to_string()], "127.0.0.1:1").await;
        assert!(outcome == ready || outcome.0 == Some(2), "{outcome:?}");
        (outcome == ready).then_some(())
    })
    .await;
    // The address is in the configuration; for "everywhere" it asks on loopback.
    assert_eq!(
        healthcheck(&site, &[], &format!("0.0.0.0:{}", admin.port())).await,
        ready
    );
    let json = healthcheck(&site, &["-o", "json"], &admin.to_string()).await;
    let shown: serde_json::Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!(
        (json.0, &shown["ready"]),
        (Some(0), &true.into()),
        "{json:?}"
    );

    byokd.terminate();
    assert!(byokd.ended().await.success());
    let (code, out, said) = healthcheck(&site, &[], &admin.to_string()).await;
    assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
    assert!(
        said.contains(&format!("no byokd answers on the admin port {admin}")),
        "{said}"
    );
    assert!(said.contains("--admin"), "{said}");
}

#[tokio::test]
async fn not_ready_is_exit_code_2() {
    let site = Site::new().await;
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = listener.local_addr().unwrap().to_string();
    let server = tonic::transport::Server::builder().add_service(service);
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let (code, out, said) = healthcheck(&site, &[], &admin).await;
    assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
    assert!(
        said.contains("not ready") && said.contains("NOT_SERVING"),
        "{said}"
    );
    let (code, _, said) = healthcheck(&site, &["-o", "json"], &admin).await;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, report["code"].as_str()),
        (Some(2), Some("NOT_READY")),
        "{said}"
    );
    serving.abort();
}

/// The kernel still accepts connections for a process that is stopped or stuck.
#[tokio::test]
async fn no_answer_is_exit_code_2() {
    let site = Site::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = silent.local_addr().unwrap().to_string();
    let (code, _, said) = healthcheck(&site, &[], &admin).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no answer within"), "{said}");
}

#[tokio::test]
async fn an_invalid_address_is_exit_code_1() {
    let site = Site::new().await;
    let (code, _, said) = healthcheck(&site, &["--admin", "localhost"], "127.0.0.1:1").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("127.0.0.1:9464"), "{said}");
}
