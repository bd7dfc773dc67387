//! The time for which other replicas issue a revoked key, measured.
//!
//! Five replicas, a load on all of them, and a key that is deleted or replaced through one of them, again and
//! again. The test measures from the acknowledgement to the start of the last call with the old key.
#![expect(clippy::print_stderr, reason = "figures are for people")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use byokd::{contract::v1, domain::caller::Role};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::fleet::Fleet;
use crate::support::{
    Network, Process, Proxy, Site, answered, ask, byokd::Keys, new_key, openai_key, until,
};

const REPLICAS: usize = 5;
/// The promise for a healthy fleet, and the one for any fault.
const HEALTHY: Duration = Duration::from_millis(1500);
const WORST: Duration = Duration::from_secs(35);
const WORKSPACE: &str = "acme";

fn revocations() -> u32 {
    if std::env::var("BYOKD_TESTS_LONG").is_ok() {
        1_000
    } else {
        50
    }
}

/// The last answer of a replica: the key, and the start of the call.
#[derive(Clone)]
struct Seen {
    key: Option<String>,
    asked: Instant,
}

/// Calls one replica again and again. `rounds` counts its answers.
struct Watcher {
    seen: Arc<Mutex<Vec<Seen>>>,
    rounds: Arc<AtomicU32>,
}

impl Watcher {
    async fn start(process: &Process, stop: &Arc<AtomicBool>, tasks: &mut JoinSet<()>) -> Self {
        let mut resolver = process.keys(Role::Resolver).await;
        let watcher = Self {
            seen: Arc::default(),
            rounds: Arc::default(),
        };
        let (seen, rounds, stop) = (
            Arc::clone(&watcher.seen),
            Arc::clone(&watcher.rounds),
            Arc::clone(stop),
        );
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let key = match resolver
                    .resolve_credentials(ask(WORKSPACE, "", "openai", ""))
                    .await
                {
                    Ok(resolved) => Some(resolved.into_inner().credential.unwrap().api_key.clone()),
                    Err(status) => {
                        assert_eq!(
                            crate::support::reason(&status),
                            "BYO_KEY_MISSING",
                            "{status:?}"
                        );
                        None
                    }
                };
                seen.lock().unwrap().push(Seen { key, asked });
                rounds.fetch_add(1, Ordering::Relaxed);
                // A load, not a flood: the replicas share the machine with the database.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        watcher
    }

    fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    /// Whether its newest answer has this key.
    fn hands_out(&self, key: Option<&str>) -> bool {
        self.seen
            .lock()
            .unwrap()
            .last()
            .is_some_and(|seen| seen.key.as_deref() == key)
    }

    /// The start of the last call that got this key.
    fn last_with(&self, key: &str) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.key.as_deref() == Some(key))
            .map(|seen| seen.asked)
            .max()
    }
}

async fn set(admin: &mut Keys, n: u32) -> String {
    let request_id = Uuid::new_v4().to_string();
    let key = new_key(WORKSPACE, "openai", &openai_key(n));
    let request = v1::SetKeyRequest {
        enable_byo: true,
        request_id,
        ..key
    };
    while answered(admin.set_key(request.clone()).await)
        .await
        .is_none()
    {}
    openai_key(n)
}

/// Revokes the current key and returns its replacement, if there is one.
async fn revoke(admin: &mut Keys, n: u32) -> Option<String> {
    if n.is_multiple_of(2) {
        return Some(set(admin, n).await);
    }
    let delete = v1::DeleteKeyRequest {
        workspace_id: WORKSPACE.to_owned(),
        provider: "openai".to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    while answered(admin.delete_key(delete.clone()).await)
        .await
        .is_none()
    {}
    None
}

/// Measures this number of revocations, each through another replica.
async fn measure(what: &str, replicas: &[(Site, Process)]) {
    let stop = Arc::<AtomicBool>::default();
    let (mut tasks, mut watchers, mut admins) = (JoinSet::new(), Vec::new(), Vec::new());
    set(&mut replicas[0].1.keys(Role::Admin).await, 1).await;
    for (_, process) in replicas {
        admins.push(process.keys(Role::Admin).await);
        watchers.push(Watcher::start(process, &stop, &mut tasks).await);
    }
    let all = |key: Option<String>| {
        let watchers = &watchers;
        async move {
            until("all replicas hand out the same", async || {
                watchers
                    .iter()
                    .all(|watcher| watcher.hands_out(key.as_deref()))
                    .then_some(())
            })
            .await;
        }
    };
    let mut took = Vec::new();
    for n in 0..revocations() {
        let through = usize::try_from(n).unwrap() % REPLICAS;
        let old = set(&mut admins[through], 1_000_000 + n).await;
        all(Some(old.clone())).await;
        watchers.iter().for_each(Watcher::forget);
        let follows = revoke(&mut admins[through], n).await;
        let acknowledged = Instant::now();
        all(follows).await;
        let last = watchers
            .iter()
            .filter_map(|watcher| watcher.last_with(&old))
            .max();
        took.push(last.map_or(Duration::ZERO, |last| {
            last.saturating_duration_since(acknowledged)
        }));
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let worst = at(100);
    eprintln!(
        "{} revocations, {what}: p50 {:?}, p99 {:?}, worst {worst:?}; the bound of {HEALTHY:?} {}",
        took.len(),
        at(50),
        at(99),
        if worst <= HEALTHY {
            "holds"
        } else {
            "DOES NOT HOLD"
        },
    );
    assert!(worst <= WORST, "{worst:?}");
}

async fn replicas(fleet: &Fleet) -> Vec<(Site, Process)> {
    let mut replicas = Vec::new();
    // The token signer is the first one's.
    fleet.start().await.kill();
    for _ in 0..REPLICAS {
        let site = fleet.another().await;
        let process = fleet.start_at(&site).await;
        replicas.push((site, process));
    }
    replicas
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs services: ./tests/run soak"]
async fn no_replica_issues_a_revoked_key_after_its_bound() {
    let fleet = Fleet::on_postgres().await;
    let replicas = replicas(&fleet).await;
    measure("with NOTIFY", &replicas).await;
}

/// By polling alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs services: ./tests/run soak"]
async fn no_replica_issues_a_revoked_key_after_its_bound_without_hints() {
    let mut fleet = Fleet::on_postgres().await;
    let (proxy, through) = Proxy::before(fleet.url()).await;
    proxy.set(Network::Blackhole);
    fleet.set("BYOKD__DATABASE__LISTEN_URL", &through);
    let replicas = replicas(&fleet).await;
    measure("without NOTIFY", &replicas).await;
    for (_, process) in &replicas {
        assert!(
            process.said().contains("NOTIFY does not come through"),
            "{}",
            process.said()
        );
    }
}
