//! SIGKILL under load in `durable`: each answered call has its audit line.
//!
//! The moments are random; the test prints the seed, and `BYOKD_TEST_SEED` repeats it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use byokd::{contract::v1, domain::caller::Role};
use tokio::task::JoinSet;

use crate::support::{Process, Random, Site, ask, lines, stream::verified, until};

/// Concurrent callers.
const CALLERS: usize = 8;

fn kills() -> u32 {
    if std::env::var("BYOKD_TESTS_LONG").is_ok() {
        100
    } else {
        25
    }
}

/// The answered calls: resolutions by their ids, changes by workspace and revision.
#[derive(Default)]
struct Answered {
    resolutions: HashSet<String>,
    changes: HashSet<(String, u64)>,
}

/// Callers that ask until the server is gone; one of them makes changes.
async fn load(process: &Process, life: u32, answered: &Arc<Mutex<Answered>>) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for _ in 1..CALLERS {
        let (mut resolver, answered) = (process.keys(Role::Resolver).await, Arc::clone(answered));
        callers.spawn(async move {
            while let Ok(resolved) = resolver
                .resolve_credentials(ask("acme", "llama", "", ""))
                .await
            {
                answered
                    .lock()
                    .unwrap()
                    .resolutions
                    .insert(resolved.into_inner().resolution_id);
            }
        });
    }
    let (mut admin, answered) = (process.keys(Role::Admin).await, Arc::clone(answered));
    callers.spawn(async move {
        let workspace_id = format!("life-{life}");
        for enabled in [true, false].into_iter().cycle() {
            let toggle = v1::ToggleByoRequest {
                workspace_id: workspace_id.clone(),
                enabled: Some(enabled),
                ..Default::default()
            };
            let Ok(toggled) = admin.toggle_byo(toggle).await else {
                return;
            };
            let revision = toggled.into_inner().workspace.unwrap().revision;
            answered
                .lock()
                .unwrap()
                .changes
                .insert((workspace_id.clone(), revision));
        }
    });
    callers
}

#[expect(clippy::print_stderr, reason = "the count is what the test shows")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_answered_call() {
    let site = Site::new().await;
    let file = site.data().join("audit.jsonl");
    let mut random = Random::new();
    let answered: Arc<Mutex<Answered>> = Arc::default();
    for kill in 0..kills() {
        let mut serve = site.serve();
        serve.env("BYOKD__AUDIT__MODE", "durable");
        let mut process = site.start_as(serve).await;
        let before = answered.lock().unwrap().resolutions.len();
        let callers = load(&process, kill, &answered).await;
        until("there is load", async || {
            (answered.lock().unwrap().resolutions.len() > before + 50).then_some(())
        })
        .await;
        // No wait for a condition: this is the random moment.
        tokio::time::sleep(random.part_of(Duration::from_millis(50))).await;
        process.kill();
        callers.join_all().await;
    }
    let stream = lines_despite_kills(&file);
    let text =
        |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let resolutions: HashSet<String> = stream
        .iter()
        .map(|line| text(line, "resolution_id"))
        .collect();
    let changes: HashSet<(String, u64)> = stream
        .iter()
        .filter(|line| line["event"] == "changed")
        .map(|line| (text(line, "workspace"), line["revision"].as_u64().unwrap()))
        .collect();
    let answered = answered.lock().unwrap();
    let lost: Vec<_> = answered.resolutions.difference(&resolutions).collect();
    assert!(lost.is_empty(), "seed {}: {lost:?}", random.seed);
    let lost: Vec<_> = answered.changes.difference(&changes).collect();
    assert!(lost.is_empty(), "seed {}: {lost:?}", random.seed);
    let report = verified(&site.path("audit.key"), &[&file]);
    assert!(report.sound(), "seed {}: {report:#?}", random.seed);
    eprintln!(
        "{} kills: {} resolutions and {} changes were answered, all have their lines; {} lines were torn",
        kills(),
        answered.resolutions.len(),
        answered.changes.len(),
        report
            .notes
            .iter()
            .filter(|note| note.line.is_some())
            .count(),
    );
    // With the database: the lines that its checkpoints cover are there.
    let verify = site
        .command(&["audit", "verify", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(
        verify.status.code(),
        Some(0),
        "seed {}: {verify:?}",
        random.seed
    );
}

/// The whole lines, without torn lines before a new chain.
fn lines_despite_kills(file: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// In `buffered`, written lines stay, and an orderly shutdown loses none.
#[tokio::test]
async fn an_orderly_shutdown_loses_nothing_in_buffered_mode() {
    let site = Site::new().await;
    let mut process = site.start().await;
    let answered: Arc<Mutex<Answered>> = Arc::default();
    let callers = load(&process, 0, &answered).await;
    until("there is load", async || {
        (answered.lock().unwrap().resolutions.len() > 200).then_some(())
    })
    .await;
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    callers.join_all().await;
    let stream = lines(&site.data().join("audit.jsonl"));
    let logged: HashSet<&str> = stream
        .iter()
        .filter_map(|line| line["resolution_id"].as_str())
        .collect();
    let answered = answered.lock().unwrap();
    let lost = answered
        .resolutions
        .iter()
        .filter(|id| !logged.contains(id.as_str()))
        .count();
    assert_eq!(lost, 0);
    assert_eq!(stream.last().unwrap()["event"], "closed");
}
