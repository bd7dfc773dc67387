//! Three replicas under a steady load while everything around them fails, one thing after the other.
//!
//! Each fault is made, sampled once all have felt it, and healed; then every call on every replica must
//! succeed again. `expected` is the table of the allowed answers, `ledger` checks their content. A wrong
//! status, a broken invariant, or a missing expected refusal fails the run, which continues to its end, so
//! that one run reports everything.
//!
//! `BYOKD_TESTS_LONG=1` adds the faults that take minutes, `BYOKD_TESTS_FAULTS=KmsDead,…` selects faults, and
//! `BYOKD_TESTS_WRITE_DOCS=1` writes `docs/reliability.md`.

mod deployment;
mod expected;
mod faults;
mod ledger;
mod load;
mod pressure;
mod record;
mod report;
mod requests;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use byokd::contract::v1;

use crate::support::{Rows, wait::until_within};

use self::{
    deployment::{Deployment, REPLICAS},
    expected::Fault,
    ledger::{Change, PLATFORM_KEY},
    load::World,
    record::Stage,
};

/// For steps that take seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// A sample that is incomplete by then lacks an answer. The database's grace is longer.
const SAMPLE: Duration = Duration::from_secs(15);

const SHORT: &[Fault] = &[
    Fault::ProviderFails,
    Fault::ProviderCuts,
    Fault::KmsKeyDisabled,
    Fault::KmsDead,
    Fault::KmsSlow,
    Fault::KmsThrottles,
    Fault::ReplicaKilled,
    Fault::ConnectionsCut,
    Fault::DatabaseReadOnly,
    Fault::DatabaseStopped,
    Fault::DatabaseSlow,
    Fault::DatabaseDiskFull,
];
const LONG: &[Fault] = &[Fault::DatabaseStoppedForLong, Fault::KmsKeyDisabledForLong];

/// The course of a fault.
struct Ran {
    fault: Fault,
    felt: Duration,
    healed: Duration,
}

#[expect(clippy::print_stderr, reason = "what was seen is the point")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs services: ./tests/run soak"]
async fn every_promise_holds_while_one_component_after_the_other_fails() {
    let long = std::env::var_os("BYOKD_TESTS_LONG").is_some();
    let mut faults: Vec<Fault> = SHORT
        .iter()
        .chain(LONG.iter().filter(|_| long))
        .copied()
        .collect();
    if let Ok(only) = std::env::var("BYOKD_TESTS_FAULTS") {
        faults = SHORT.iter().chain(LONG).copied().collect();
        faults.retain(|fault| only.split(',').any(|name| name == format!("{fault:?}")));
    }
    let began = Instant::now();
    let mut all = Deployment::start().await;
    all.reachable().await;
    let clients = (0..REPLICAS).map(|replica| all.keys(replica)).collect();
    let world = Arc::new(World::new(
        clients,
        24 * u32::try_from(faults.len()).unwrap(),
    ));
    fill(&all, &world).await;
    all.warm().await;
    let callers = world.start();
    well(&all, &world, "the load has begun").await;
    world.recorder.enter(Fault::None, Stage::Healthy);
    eprintln!("ready after {:.1?}", began.elapsed());
    let mut ran = Vec::new();
    for fault in faults {
        // Some time without a fault, between two.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let one = endure(&mut all, &world, fault).await;
        let violations = world.recorder.inner().violations.len();
        eprintln!(
            "{:>6.1?}  {}: felt after {:.1?}, well after {:.1?}, {violations} violations so far",
            began.elapsed(),
            fault.name(),
            one.felt,
            one.healed
        );
        ran.push(one);
    }
    drop(callers);
    eprintln!(
        "{}took {:.1?}",
        report::text(&world.recorder, &ran),
        began.elapsed()
    );
    let figures = world.recorder.inner().figures;
    assert!(
        figures.starved * 50 <= figures.calls,
        "the machine is too busy for this: {figures:#?}"
    );
    let violations = std::mem::take(&mut world.recorder.inner().violations);
    assert!(
        violations.is_empty(),
        "{} violations, of them: {:#?}",
        violations.len(),
        &violations[..violations.len().min(30)]
    );
    all.end().await;
    if std::env::var_os("BYOKD_TESTS_WRITE_DOCS").is_some() {
        report::write_page(
            &world.recorder,
            &ran,
            if long {
                "the long form"
            } else {
                "the short form"
            },
        );
    }
}

/// The platform's key, and a first one for each workspace.
async fn fill(all: &Deployment, world: &Arc<World>) {
    let request = v1::SetPlatformKeyRequest {
        provider: "openai".to_owned(),
        api_key: PLATFORM_KEY.to_owned(),
        ..Default::default()
    };
    all.platform().set_platform_key(request).await.unwrap();
    let everyone: Arc<[_]> = world.everyone().cloned().collect();
    let mut setting = tokio::task::JoinSet::new();
    for part in 0..6 {
        let (everyone, world) = (Arc::clone(&everyone), Arc::clone(world));
        setting.spawn(async move {
            for tracked in everyone.iter().skip(part).step_by(6) {
                let mut turn = tracked.turn.lock().await;
                turn.last_key = 1;
                let sent = tracked.sending(Change::Set(1));
                let (_, shown) =
                    requests::make(world.clients[part % REPLICAS].clone(), tracked, &sent).await;
                tracked.acknowledged(&sent, &shown.unwrap()).unwrap();
            }
        });
    }
    while let Some(done) = setting.join_next().await {
        done.unwrap();
    }
}

async fn endure(all: &mut Deployment, world: &World, fault: Fault) -> Ran {
    let recorder = &world.recorder;
    recorder.enter(fault, Stage::Coming);
    let began = Instant::now();
    let lasting = faults::inject(all, fault).await;
    let limit = if LONG.contains(&fault) {
        PATIENCE * 3
    } else {
        SAMPLE * 2
    };
    let mut is_felt = false;
    while !is_felt && began.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(20)).await;
        is_felt = recorder.felt(fault);
    }
    let felt = began.elapsed();
    if is_felt {
        recorder.enter(fault, Stage::Felt);
        world.sampling.store(true, Ordering::SeqCst);
        let since = Instant::now();
        let mut lacks = recorder.lacks(fault);
        while !lacks.is_empty() && since.elapsed() < SAMPLE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            lacks = recorder.lacks(fault);
        }
        world.sampling.store(false, Ordering::SeqCst);
        recorder.must(
            lacks
                .is_empty()
                .then_some(())
                .ok_or_else(|| format!("never seen: {lacks:?}")),
            |_| {},
        );
    } else {
        recorder.must(Err(format!("not felt by all within {limit:?}")), |_| {});
    }
    recorder.enter(fault, Stage::Healing);
    let began = Instant::now();
    faults::heal(all, fault, lasting).await;
    well(all, world, fault.name()).await;
    let healed = began.elapsed();
    all.warm().await;
    recorder.enter(Fault::None, Stage::Healthy);
    settle(all, world, fault).await;
    all.check_processes(recorder);
    Ran {
        fault,
        felt,
        healed,
    }
}

/// Waits until every call on every replica is OK.
#[expect(clippy::print_stderr, reason = "a long step is reported while it runs")]
async fn well(all: &Deployment, world: &World, after: &str) {
    let (began, mut reported) = (Instant::now(), false);
    while let Err(ill) = world.recorder.well() {
        let violations = world.recorder.inner().violations.clone();
        assert!(
            began.elapsed() < PATIENCE * 2,
            "not well again after {after}: {ill}; {violations:#?}"
        );
        if began.elapsed() > PATIENCE / 4 && !std::mem::replace(&mut reported, true) {
            eprintln!("not well after {after}: {ill}\n{}", all.state().await);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// With no change in flight, the three replicas and the rows agree about each workspace, and with the
/// acknowledgements.
async fn settle(all: &Deployment, world: &World, fault: Fault) {
    let database = all.database().await;
    let unchanged = world.calm.iter().chain(&world.verified);
    for tracked in world.changing.iter().chain(unchanged) {
        let mut turn = tracked.turn.lock().await;
        turn.again = None;
        let mut shown = Vec::new();
        for replica in 0..REPLICAS {
            let keys = world.clients[replica].clone();
            let read = until_within(PATIENCE, "the workspace is read", async || {
                requests::workspace(&mut keys.clone(), tracked).await.ok()
            });
            shown.push(read.await);
        }
        let rows = Rows::of(&database, &tracked.id).await;
        rows.assert_whole(&format!("{} after {}", tracked.id, fault.name()));
        let revision = u64::try_from(rows.revision).unwrap();
        let same = shown.iter().all(|one| one.revision == revision);
        let same = same
            .then_some(())
            .ok_or_else(|| format!("{shown:?} and {rows:?} differ"));
        let agrees = shown.iter().try_for_each(|one| tracked.settled(one));
        world
            .recorder
            .must(same.and(agrees), |figures| figures.settled += 1);
    }
    database.close().await.unwrap();
}
