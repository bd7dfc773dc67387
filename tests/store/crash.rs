//! SIGKILL at any moment: no acknowledged write is lost, no change is partial, and byokd starts again.
//!
//! The moments are random; the test prints the seed, and `BYOKD_TEST_SEED` repeats it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use byokd::{contract::v1, domain::caller::Role};
use tokio::task::JoinHandle;

use crate::support::{
    Process, Random, Rows, Site, ask, new_key, openai_key, rows::number, store, until,
};

/// A kill might damage SQLite's file; a client cannot check PostgreSQL's.
fn kills() -> u64 {
    if store::is_postgres() { 15 } else { 50 }
}

/// The knowledge of SetKey's caller.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// The last key that was sent.
    sent: u32,
    /// The last key that was acknowledged, and its generation.
    acknowledged: Option<(u32, u64)>,
    /// Acknowledgements in this process's life.
    answers: u64,
    /// The duration of the last one.
    took: Duration,
}

/// Sets one key after the other until the server is gone.
async fn stream(process: &Process, progress: Arc<Mutex<Progress>>) -> JoinHandle<()> {
    let mut keys = process.keys(Role::Admin).await;
    tokio::spawn(async move {
        loop {
            let n = {
                let mut progress = progress.lock().unwrap();
                progress.sent += 1;
                progress.sent
            };
            let request = v1::SetKeyRequest {
                enable_byo: true,
                ..new_key("acme", "openai", &openai_key(n))
            };
            let began = Instant::now();
            let Ok(set) = keys.set_key(request).await else {
                return;
            };
            let mut progress = progress.lock().unwrap();
            progress.acknowledged = Some((n, set.into_inner().key.unwrap().generation));
            progress.answers += 1;
            progress.took = began.elapsed();
        }
    })
}

/// The acknowledged change is there, or the one in flight; whole, alone, and it opens.
async fn check(site: &Site, process: &Process, progress: &mut Progress, context: &str) {
    let database = site.database().await;
    let rows = Rows::of(&database, "acme").await;
    rows.assert_whole(context);
    let active = "SELECT count(*) FROM provider_keys WHERE state = 'active'";
    let generation = rows.active("openai").map_or(0, |key| key.generation);
    assert_eq!(
        number(&database, active).await,
        i64::from(generation > 0),
        "{context}"
    );
    store::assert_intact(&database, context).await;
    database.close().await.unwrap();
    let (key, acknowledged) = progress.acknowledged.unwrap_or((0, 0));
    let generation = u64::try_from(generation).unwrap();
    let expected = match generation.checked_sub(acknowledged) {
        Some(0) => key,
        Some(1) => progress.sent,
        _ => panic!("{context}: generation {acknowledged} was acknowledged, {generation} is there"),
    };
    let mut resolver = process.keys(Role::Resolver).await;
    let resolved = resolver
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await;
    if generation == 0 {
        assert!(resolved.is_err(), "{context}");
        return;
    }
    let resolved = resolved.unwrap().into_inner();
    assert_eq!(
        resolved.credential.unwrap().api_key,
        openai_key(expected),
        "{context}"
    );
    assert_eq!(resolved.key.unwrap().generation, generation, "{context}");
    progress.acknowledged = Some((expected, generation));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_key_is_lost_to_a_kill_in_the_middle_of_set_key() {
    let site = Site::new().await;
    let mut random = Random::new();
    let mut progress = Progress {
        took: Duration::from_millis(20),
        ..Progress::default()
    };
    for kill in 0..=kills() {
        let context = format!("seed {}, after {kill} kills", random.seed);
        let mut process = site.start().await;
        check(&site, &process, &mut progress, &context).await;
        progress.answers = 0;
        let shared = Arc::new(Mutex::new(progress));
        let writing = stream(&process, Arc::clone(&shared)).await;
        let answers = random.below(4);
        until("the keys are acknowledged", async || {
            (shared.lock().unwrap().answers >= answers).then_some(())
        })
        .await;
        // No wait for a condition: this is the random moment, somewhere in the next call or the one after.
        let within = shared.lock().unwrap().took * 2;
        tokio::time::sleep(random.part_of(within)).await;
        process.kill();
        tokio::time::timeout(Duration::from_secs(30), writing)
            .await
            .unwrap()
            .unwrap();
        progress = *shared.lock().unwrap();
    }
    assert!(
        progress.acknowledged.unwrap().1 > kills(),
        "seed {}: hardly a write",
        random.seed
    );
}

/// The first start creates schema, KMS key, data keys and token signer; wherever it is killed, the next one
/// works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_first_start_does_not_stop_the_next() {
    let mut random = Random::new();
    let began = Instant::now();
    let mut site = Site::new().await;
    site.start().await.kill();
    let usual = began.elapsed();
    for kill in 0..if store::is_postgres() { 8 } else { 20 } {
        site = Site::new().await;
        let mut process = site.spawn(site.serve());
        tokio::time::sleep(random.part_of(usual)).await;
        process.kill();
        let process = site.start().await;
        let context = format!("seed {}, kill {kill}", random.seed);
        let mut keys = process.keys(Role::Admin).await;
        let set = keys
            .set_key(new_key("acme", "openai", &openai_key(1)))
            .await;
        assert_eq!(set.expect(&context).into_inner().key.unwrap().generation, 1);
    }
}
