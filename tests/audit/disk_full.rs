//! A full disk, simulated by a limit on the size of files, in both modes.

use std::{fs, process::Command};

use byokd::{contract::v1, domain::caller::Role};

use crate::support::{Process, Site, ask, byokd::Keys, lines, reason, stream::verified, until};

/// Bytes of the stream before the disk is full.
const BEFORE: u64 = 100;

/// A byokd whose stream is longer than its log will be, so that the limit still allows the log.
async fn start(site: &Site, mode: &str) -> (Process, Keys) {
    let mut serve = site.serve();
    serve.env("BYOKD__AUDIT__MODE", mode);
    let process = site.start_as(serve).await;
    let mut resolver = process.keys(Role::Resolver).await;
    for _ in 0..BEFORE {
        resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .unwrap();
    }
    until("the stream has begun", async || {
        (count(site, "resolved") as u64 == BEFORE).then_some(())
    })
    .await;
    (process, resolver)
}

fn count(site: &Site, event: &str) -> usize {
    lines(&site.data().join("audit.jsonl"))
        .iter()
        .filter(|line| line["event"] == event)
        .count()
}

/// Resolves until one call is refused; returns the ids of the answered ones.
async fn until_refused(resolver: &mut Keys) -> (Vec<String>, tonic::Status) {
    let mut granted = Vec::new();
    loop {
        match resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
        {
            Ok(resolved) => granted.push(resolved.into_inner().resolution_id),
            Err(refused) => return (granted, refused),
        }
    }
}

#[tokio::test]
async fn durable_refuses_calls_that_it_cannot_record_and_recovers_by_itself() {
    let site = Site::new().await;
    let file = site.data().join("audit.jsonl");
    let (mut process, mut resolver) = start(&site, "durable").await;
    let mut admin = process.keys(Role::Admin).await;
    let mut granted = Vec::new();
    // Three times: the limit falls into the middle of a line.
    for extra in [100, 1000, 1700] {
        process.limit_files(Some(fs::metadata(&file).unwrap().len() + extra));
        let (some, refused) = until_refused(&mut resolver).await;
        granted.extend(some);
        assert_eq!(reason(&refused), "AUDIT_UNAVAILABLE");
        assert!(tonic_types::StatusExt::get_details_retry_info(&refused).is_some());
        let toggle = v1::ToggleByoRequest {
            workspace_id: "acme".into(),
            enabled: Some(true),
            ..Default::default()
        };
        let refused = admin.toggle_byo(toggle).await.unwrap_err();
        assert_eq!(
            reason(&refused),
            "AUDIT_UNAVAILABLE",
            "a change is refused before it begins"
        );
        let read = v1::GetWorkspaceRequest {
            workspace_id: "acme".into(),
        };
        let workspace = admin
            .get_workspace(read)
            .await
            .unwrap()
            .into_inner()
            .workspace
            .unwrap();
        assert_eq!(workspace.revision, 0);
        process.limit_files(None);
        let resolved = until("it is granted again", async || {
            resolver
                .resolve_credentials(ask("acme", "llama", "", ""))
                .await
                .ok()
        });
        granted.push(resolved.await.into_inner().resolution_id);
    }
    let stream = lines(&file);
    for id in &granted {
        assert!(
            stream.iter().any(|line| line["resolution_id"] == **id),
            "{id}"
        );
    }
    assert!(stream.iter().filter(|line| line["event"] == "lost").count() >= 3);
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    let said = process.said();
    assert_eq!(
        said.matches("the audit stream cannot be written").count(),
        3,
        "{said}"
    );
    let report = verified(&site.path("audit.key"), &[&file]);
    assert!(report.sound() && report.chains[0].closed, "{report:#?}");
}

#[tokio::test]
async fn buffered_continues_and_counts_the_lost_lines() {
    let site = Site::new().await;
    let file = site.data().join("audit.jsonl");
    let (mut process, mut resolver) = start(&site, "buffered").await;
    process.limit_files(Some(fs::metadata(&file).unwrap().len() + 100));
    let mut asked = BEFORE;
    until("the disk is full", async || {
        resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .unwrap();
        asked += 1;
        process
            .said()
            .contains("the audit stream cannot be written")
            .then_some(())
    })
    .await;
    process.limit_files(None);
    until("it is said", async || {
        (count(&site, "lost") > 0).then_some(())
    })
    .await;
    resolver
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    asked += 1;
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    let stream = lines(&file);
    let lost: u64 = stream
        .iter()
        .filter(|line| line["event"] == "lost")
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    let logged = count(&site, "resolved") as u64;
    assert!(lost > 0 && logged > BEFORE, "{lost} lost, {logged} logged");
    assert_eq!(lost + logged, asked, "each has a line or is counted");
    let said = process.said();
    assert_eq!(
        said.matches("the audit stream cannot be written").count(),
        1,
        "{said}"
    );
    assert!(said.contains("is written again"), "{said}");
    let report = verified(&site.path("audit.key"), &[&file]);
    assert!(report.sound(), "{report:#?}");
}

/// The first line does not fit: byokd starts, and in `durable` it issues no credential.
#[tokio::test]
async fn a_start_on_a_full_disk_recovers_by_itself() {
    let site = Site::new().await;
    let (process, mut resolver) = start(&site, "durable").await;
    resolver
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    drop(process);
    let full = site.path("full.jsonl");
    fs::write(&full, vec![b'\n'; 4 << 20]).unwrap();
    // SQLite's files are shorter than this one.
    let mut serve = Command::new("prlimit");
    let inner = site.serve();
    serve
        .arg(format!("--fsize={}:", 4 << 20))
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    serve
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(site.path("."));
    serve
        .env("BYOKD__AUDIT__MODE", "durable")
        .env("BYOKD__AUDIT__FILE", &full);
    let process = site.start_as(serve).await;
    let mut resolver = process.keys(Role::Resolver).await;
    let refused = resolver
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "AUDIT_UNAVAILABLE");
    process.limit_files(None);
    until("it is granted", async || {
        resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .ok()
    })
    .await;
}
