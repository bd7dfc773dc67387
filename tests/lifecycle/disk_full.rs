//! A full disk, simulated by a limit on the size of files: byokd is not ready where it must refuse calls
//! without a record, and ready elsewhere.

use std::fs;

use byokd::domain::caller::Role;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::admin::{Admin, serve};
use crate::support::{Process, Site, ask, byokd::Keys, reason, until};

/// A ready byokd, and a caller without an audit line so far.
async fn start(site: &Site, mode: &str) -> (Process, Admin, Keys) {
    let mut command = serve(site);
    command.env("BYOKD__AUDIT__MODE", mode);
    let mut process = site.spawn(command);
    let admin = Admin::of(&mut process).await;
    let process = site.listening(process).await;
    admin.ready().await;
    let resolver = process.keys(Role::Resolver).await;
    (process, admin, resolver)
}

/// Fills the disk and calls until the stream has reached the limit.
async fn fill(site: &Site, process: &Process, resolver: &mut Keys) -> Option<tonic::Status> {
    let file = site.data().join("audit.jsonl");
    // Its log goes to a file, too, and must find room.
    let said = u64::try_from(process.said().len()).unwrap() + 16 * 1024;
    process.limit_files(Some(said.max(fs::metadata(&file).unwrap().len() + 10)));
    until("the stream has met the end of the disk", async || {
        let refused = resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .err();
        process
            .said()
            .contains("the audit stream cannot be written")
            .then_some(refused)
    })
    .await
}

#[tokio::test]
async fn durable_is_not_ready_while_the_disk_is_full() {
    // The store's own files would reach the limit, too, so they are elsewhere.
    let site = Site::new().await;
    let (process, admin, mut resolver) = start(&site, "durable").await;
    let refused = fill(&site, &process, &mut resolver).await;
    assert_eq!(reason(&refused.unwrap()), "AUDIT_UNAVAILABLE");
    admin.awaits("audit: the stream cannot be written").await;
    process.limit_files(None);
    // A balancer sends no calls to a replica that is not ready: it recovers without calls.
    admin.ready().await;
    resolver
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
}

#[tokio::test]
async fn buffered_stays_ready() {
    let site = Site::new().await;
    let (process, admin, mut resolver) = start(&site, "buffered").await;
    assert!(fill(&site, &process, &mut resolver).await.is_none());
    admin.agree(ServingStatus::Serving).await;
    assert_eq!(admin.awaited().await, None);
    resolver
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    assert!(
        !process.said().contains("not ready any more"),
        "{}",
        process.said()
    );
}
