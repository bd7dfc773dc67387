//! SIGHUP after a rename: the chain continues in the new file.

use byokd::domain::caller::Role;

use crate::support::{Process, Site, ask, lines, stream::verified, until};

async fn resolve(process: &Process, times: usize) {
    let mut resolver = process.keys(Role::Resolver).await;
    for _ in 0..times {
        resolver
            .resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_renamed_file_is_followed_by_another_in_the_same_chain() {
    let site = Site::new().await;
    let (current, key) = (site.data().join("audit.jsonl"), site.path("audit.key"));
    let mut process = site.start().await;
    let old: Vec<_> = ["audit.1", "audit.2"]
        .into_iter()
        .map(|name| site.data().join(name))
        .collect();
    for file in &old {
        resolve(&process, 3).await;
        let resolved = |lines: &[serde_json::Value]| {
            lines
                .iter()
                .filter(|line| line["event"] == "resolved")
                .count()
        };
        until("the lines are there", async || {
            (resolved(&lines(&current)) == 3).then_some(())
        })
        .await;
        std::fs::rename(&current, file).unwrap();
        process.hang_up();
        until("there is a new file", async || {
            (!lines(&current).is_empty()).then_some(())
        })
        .await;
        // No file was renamed this time.
        process.hang_up();
    }
    resolve(&process, 3).await;
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    let report = verified(&key, &[&old[0], &old[1], &current]);
    assert!(report.sound() && report.chains.len() == 1, "{report:#?}");
    assert_eq!(report.lines, 1 + 3 + 1 + 3 + 1 + 3 + 1);
    assert!(report.chains[0].closed);
    for missing in [
        &[&old[0], &current][..],
        &[&old[1], &current],
        &[&old[1], &old[0], &current],
    ] {
        let files: Vec<&std::path::Path> = missing.iter().map(|file| file.as_path()).collect();
        assert!(!verified(&key, &files).sound(), "{files:?}");
    }
    let alone = site
        .command(&[
            "audit",
            "verify",
            "--partial",
            "--no-database",
            current.to_str().unwrap(),
        ])
        .output();
    assert_eq!(alone.unwrap().status.code(), Some(0));
}

#[tokio::test]
async fn a_second_byokd_does_not_write_the_same_file() {
    let site = Site::new().await;
    let _first = site.start().await;
    let other = Site::new().await;
    let mut serve = other.serve();
    serve.env("BYOKD__AUDIT__FILE", site.data().join("audit.jsonl"));
    let said = other.refused(serve).await;
    assert!(
        said.contains("is written by another byokd") && said.contains("audit.file"),
        "{said}"
    );
}
