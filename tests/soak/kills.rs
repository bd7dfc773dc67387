//! SIGKILL at any moment of any change, on PostgreSQL: acknowledged changes are there, no change is partial,
//! and a killed `byokd rewrap` still finishes.
#![expect(clippy::print_stderr, reason = "figures are for people")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use byokd::{contract::v1, domain::caller::Role};
use sea_orm::ConnectionTrait as _;
use tonic::Code;

use crate::support::fleet::{Fleet, assert_keys, set_keys};
use crate::support::{
    Process, Random, Rows, ask, byokd::Keys, new_key, openai_key, rows::number, until,
};

const WORKSPACE: &str = "acme";
const KEYS: u32 = 12;

fn kills() -> u32 {
    if std::env::var("BYOKD_TESTS_LONG").is_ok() {
        500
    } else {
        50
    }
}

/// The state of a workspace: whether BYO is on, and its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    byo: bool,
    key: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Set(u32),
    Toggle(bool),
    Delete,
}

impl Change {
    fn any(random: &mut Random, n: u32) -> Self {
        match random.below(4) {
            0 | 1 => Self::Set(n),
            2 => Self::Toggle(random.below(2) == 0),
            _ => Self::Delete,
        }
    }

    fn after(self, state: State) -> State {
        match self {
            Self::Set(n) => State {
                key: Some(n),
                ..state
            },
            Self::Toggle(byo) => State { byo, ..state },
            Self::Delete => State { key: None, ..state },
        }
    }

    /// Whether it was acknowledged; a refusal because the key is gone is an acknowledgement, too.
    async fn make(self, admin: &mut Keys) -> bool {
        let (workspace_id, provider) = (WORKSPACE.to_owned(), "openai".to_owned());
        let made = match self {
            Self::Set(n) => admin
                .set_key(new_key(WORKSPACE, "openai", &openai_key(n)))
                .await
                .map(|_| ()),
            Self::Toggle(enabled) => {
                let request = v1::ToggleByoRequest {
                    workspace_id,
                    enabled: Some(enabled),
                    ..Default::default()
                };
                admin.toggle_byo(request).await.map(|_| ())
            }
            Self::Delete => {
                let request = v1::DeleteKeyRequest {
                    workspace_id,
                    provider,
                    ..Default::default()
                };
                admin.delete_key(request).await.map(|_| ())
            }
        };
        !made.is_err_and(|status| status.code() != Code::NotFound)
    }
}

/// The knowledge of a caller that makes one change after the other until the server is gone.
#[derive(Clone, Copy, Debug)]
struct Progress {
    acknowledged: State,
    /// The change without an answer.
    in_flight: Option<Change>,
    answers: u64,
    took: Duration,
}

/// Makes changes until one is not answered.
async fn stream(
    mut admin: Keys,
    mut changes: impl Iterator<Item = Change>,
    progress: Arc<Mutex<Progress>>,
) {
    loop {
        let change = changes.next().unwrap();
        progress.lock().unwrap().in_flight = Some(change);
        let began = Instant::now();
        let acknowledged = change.make(&mut admin).await;
        let mut progress = progress.lock().unwrap();
        if !acknowledged {
            return;
        }
        progress.acknowledged = change.after(progress.acknowledged);
        progress.in_flight = None;
        progress.answers += 1;
        progress.took = began.elapsed();
    }
}

/// The key that is served now, if it is the workspace's own.
async fn state(process: &Process, rows: &Rows, context: &str) -> State {
    let mut resolver = process.keys(Role::Resolver).await;
    let resolved = resolver
        .resolve_credentials(ask(WORKSPACE, "", "openai", ""))
        .await;
    let served = resolved.map(|resolved| resolved.into_inner().credential.unwrap().api_key.clone());
    let has_key = rows.active("openai").is_some();
    match (rows.byo_enabled, has_key, served) {
        (true, true, Ok(secret)) => {
            let key = secret.split('-').nth(3).unwrap().parse().unwrap();
            assert_eq!(secret, openai_key(key), "{context}");
            State {
                byo: true,
                key: Some(key),
            }
        }
        (true, false, Err(status)) => {
            assert_eq!(
                crate::support::reason(&status),
                "BYO_KEY_MISSING",
                "{context}"
            );
            State {
                byo: true,
                key: None,
            }
        }
        // There is no platform key here. The key shows once BYO is on again.
        (false, has_key, Err(status)) => {
            assert_eq!(
                crate::support::reason(&status),
                "PLATFORM_KEY_MISSING",
                "{context}"
            );
            State {
                byo: false,
                key: has_key.then_some(u32::MAX),
            }
        }
        (byo, has_key, served) => panic!("{context}: byo {byo}, key {has_key}, served {served:?}"),
    }
}

fn same(seen: State, expected: State) -> bool {
    let key = match seen.key {
        Some(u32::MAX) => expected.key.is_some(),
        key => key == expected.key,
    };
    key && seen.byo == expected.byo
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs services: ./tests/run soak"]
async fn no_acknowledged_change_is_lost_to_a_kill() {
    let fleet = Fleet::on_postgres().await;
    let mut random = Random::new();
    let seed = random.seed;
    let first = Progress {
        acknowledged: State::default(),
        in_flight: None,
        answers: 0,
        took: Duration::from_millis(20),
    };
    let (mut progress, mut sent, mut answers, mut applied) = (first, 0, 0, 0);
    for kill in 0..=kills() {
        let context = format!("seed {seed}, after {kill} kills, {progress:?}");
        let mut process = fleet.start().await;
        let database = fleet.database().await;
        let rows = Rows::of(&database, WORKSPACE).await;
        database.close().await.unwrap();
        rows.assert_whole(&context);
        if kill == 0 {
            let mut admin = process.keys(Role::Admin).await;
            assert!(Change::Toggle(true).make(&mut admin).await);
            progress.acknowledged.byo = true;
        } else {
            let seen = state(&process, &rows, &context).await;
            let or = progress
                .in_flight
                .map(|change| change.after(progress.acknowledged));
            let lost = !same(seen, progress.acknowledged);
            assert!(
                !lost || or.is_some_and(|or| same(seen, or)),
                "{context}: {seen:?}"
            );
            if lost {
                // The change in flight was made.
                applied += 1;
                progress.acknowledged = or.unwrap();
            }
        }
        (progress.in_flight, progress.answers) = (None, 0);
        let shared = Arc::new(Mutex::new(progress));
        let changes: Vec<Change> = (0..10_000)
            .map(|n| Change::any(&mut random, sent + n))
            .collect();
        let admin = process.keys(Role::Admin).await;
        let streaming = tokio::spawn(stream(admin, changes.into_iter(), Arc::clone(&shared)));
        let wanted = random.below(6);
        until("changes are acknowledged", async || {
            (shared.lock().unwrap().answers >= wanted || streaming.is_finished()).then_some(())
        })
        .await;
        // No wait for a condition: this is the random moment, somewhere in the next call or the one after.
        let within = shared.lock().unwrap().took * 2;
        tokio::time::sleep(random.part_of(within)).await;
        process.kill();
        streaming.await.unwrap();
        progress = *shared.lock().unwrap();
        sent += 10_000;
        answers += progress.answers;
    }
    eprintln!(
        "{} kills, {answers} acknowledged changes, {applied} more that were in flight, none lost",
        kills()
    );
    assert!(answers > u64::from(kills()), "seed {seed}: hardly a change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs services: ./tests/run soak"]
async fn a_rewrap_killed_at_any_moment_finishes() {
    let mut fleet = Fleet::on_postgres().await;
    let mut process = fleet.start().await;
    set_keys(&process, KEYS).await;
    let database = fleet.database().await;
    until("all data keys exist", async || {
        (number(&database, "SELECT count(*) FROM data_keys").await == 256).then_some(())
    })
    .await;
    let (mut random, mut sites) = (Random::new(), Vec::new());
    let (mut killed, mut done, mut resumed, mut usual) = (0, 0, 0, Duration::from_secs(3));
    while killed < kills() / 2 {
        let context = format!("seed {}, after {killed} kills and {done} ends", random.seed);
        // Every other time to another key file, which the serving replica does not have. It needs that file
        // once it reads the records again, which is 10 minutes after their load.
        let to_data_keys = random.below(2) == 0;
        if !to_data_keys {
            let files = fleet.key_files();
            let next = fleet.key_file(&format!("key-{killed}-{done}"));
            fleet.set_previous(&files.iter().map(String::as_str).collect::<Vec<_>>());
            fleet.set("BYOKD__KMS__KEY_FILE", &next.display().to_string());
        }
        let arguments: &[&str] = if to_data_keys {
            &["rewrap", "--data-keys"]
        } else {
            &["rewrap"]
        };
        loop {
            let began = Instant::now();
            let mut rewrap = fleet.site.spawn(fleet.command(arguments));
            let moment = random.part_of(usual);
            let ended = tokio::time::timeout(moment, rewrap.ended()).await;
            if let Ok(status) = ended {
                assert!(status.success(), "{context}: {}", rewrap.said());
                usual = began.elapsed();
                break;
            }
            rewrap.kill();
            killed += 1;
            // As after a long silence.
            database
                .execute_unprepared("UPDATE rewraps SET alive_at = alive_at - 16")
                .await
                .unwrap();
            assert_keys(&process, KEYS).await;
            if killed.is_multiple_of(5) {
                let ended = fleet.run(arguments).await;
                assert_eq!(ended.code, Some(0), "{context}: {ended:?}");
                resumed += u32::from(ended.out.contains("counting what an earlier run had done"));
                break;
            }
        }
        done += 1;
        let left = "SELECT count(*) FROM provider_keys JOIN data_keys USING (bucket) \
                    WHERE provider_keys.state = 'active' AND data_keys.state <> 'active' \
                    AND data_keys.version = provider_keys.data_key_version";
        assert_eq!(number(&database, left).await, 0, "{context}");
        let active = "SELECT count(*) FROM data_keys WHERE state = 'active'";
        assert_eq!(number(&database, active).await, 256, "{context}");
        let live = "SELECT count(*) FROM provider_keys WHERE state = 'active'";
        assert_eq!(number(&database, live).await, i64::from(KEYS), "{context}");
        assert_keys(&process, KEYS).await;
        // A restarted replica opens the records, too. It has today's key file, and takes over.
        let site = fleet.another().await;
        process = fleet.start_at(&site).await;
        assert_keys(&process, KEYS).await;
        sites.push(site);
    }
    eprintln!(
        "{killed} kills of a rewrap, {done} came to their end, {resumed} of them counted an earlier run's work"
    );
}
