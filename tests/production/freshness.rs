//! Two replicas over one database: a change by one is served by the other; and a database that was restored
//! or replaced.
#![expect(clippy::print_stderr, reason = "figures are for people")]

use std::time::{Duration, Instant};

use byokd::{
    config::Config,
    contract::v1,
    domain::{
        audit::AuditEvent,
        caller::{Role, Rpc},
        change::Draft,
        names::{OnBehalfOf, Scope, WorkspaceId},
    },
    store::{OpenMode, Store, StoreSettings},
};
use serde_json::json;
use time::OffsetDateTime;
use tonic::Code;

use crate::support::fleet::{Fleet, set_keys};
use crate::support::{
    Byokd, Network, OwnPostgres, Proxy, ask, openai_key, postgres, reason, rows::number, until,
};

/// Two replicas of a kind; the second one tests keys at the same provider as the first.
struct Two {
    one: Byokd,
    other: Byokd,
}

impl Two {
    async fn start(url: &str, listen_url: &str) -> Self {
        let of_both = |config: &mut Config| {
            config.database.url = url.to_owned();
            config.database.listen_url = listen_url.to_owned();
        };
        let one = Byokd::start_with(of_both).await;
        let (catalog, key_file) = (one.config.catalog.file.clone(), one.config.kms_key_file());
        let other = Byokd::start_with(|config| {
            of_both(config);
            config.catalog.file = catalog;
            config.kms.key_file = key_file;
        })
        .await;
        let two = Self { one, other };
        two.all_data_keys(url).await;
        two
    }

    async fn all_data_keys(&self, url: &str) {
        let database = crate::support::store::connect(url).await;
        until("all data keys exist", async || {
            (number(&database, "SELECT count(*) FROM data_keys").await == 256).then_some(())
        })
        .await;
        database.close().await.unwrap();
    }

    /// Waits until both issue this key; returns the time. While the database is reachable, no time passes by
    /// their clocks: entries in memory do not age by themselves.
    async fn hand_out(&self, workspace: &str, key: Result<u32, &str>) -> Duration {
        let began = Instant::now();
        for byokd in [&self.one, &self.other] {
            until(&format!("{key:?} of {workspace}"), async || {
                let resolved = byokd.resolve(workspace, "", "openai").await;
                // A replica that failed to read waits a second before the next try.
                let away = resolved
                    .as_ref()
                    .map_or_else(|status| status.code() == Code::Unavailable, |r| r.degraded);
                if away {
                    byokd.pass(Duration::from_secs(1));
                }
                let seen = resolved
                    .map(|r| r.credential.unwrap().api_key.clone())
                    .map_err(|status| reason(&status));
                (seen == key.map(openai_key).map_err(str::to_owned)).then_some(())
            })
            .await;
        }
        began.elapsed()
    }

    async fn delete(&self, workspace: &str) {
        let delete = v1::DeleteKeyRequest {
            workspace_id: workspace.to_owned(),
            provider: "openai".to_owned(),
            ..Default::default()
        };
        self.one.admin().delete_key(delete).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_change_by_one_replica_is_served_by_the_other_with_hints_and_without() {
    for network in [None, Some(Network::Refuse), Some(Network::Blackhole)] {
        let url = postgres::shared().await;
        let (proxy, through) = Proxy::before(&url).await;
        if let Some(network) = network {
            proxy.set(network);
        }
        let two = Two::start(&url, &through).await;
        let mut took = Vec::new();
        two.one.set_platform_key("openai", &openai_key(1)).await;
        took.push(two.hand_out("acme", Ok(1)).await);
        two.one.set_key("acme", "openai", &openai_key(2)).await;
        two.one.toggle("acme", true).await;
        took.push(two.hand_out("acme", Ok(2)).await);
        for n in 3..8 {
            two.one.set_key("acme", "openai", &openai_key(n)).await;
            took.push(two.hand_out("acme", Ok(n)).await);
        }
        two.delete("acme").await;
        took.push(two.hand_out("acme", Err("BYO_KEY_MISSING")).await);
        two.one.toggle("acme", false).await;
        took.push(two.hand_out("acme", Ok(1)).await);
        // And in the other direction.
        two.other.set_platform_key("openai", &openai_key(9)).await;
        took.push(two.hand_out("acme", Ok(9)).await);
        eprintln!("seen by both, listening through {network:?}: {took:?}");
        if network.is_none() {
            assert!(proxy.open() > 0, "no replica listens");
        }
    }
}

/// Revision and random ids of the log are those of an earlier day, under replicas that have seen more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_database_restored_to_an_earlier_point_is_served_as_it_is() {
    let mut own = OwnPostgres::start().await;
    let two = Two::start(&own.url(), "").await;
    two.one.set_platform_key("openai", &openai_key(1)).await;
    two.one.set_key("acme", "openai", &openai_key(2)).await;
    two.one.toggle("acme", true).await;
    two.hand_out("acme", Ok(2)).await;
    let earlier = own.copy().await;
    // The server was unreachable, and refused callers retry.
    for (workspace, n) in [("acme", 3), ("globex", 4), ("acme", 5)] {
        until("a key is set", async || {
            let mut request = crate::support::new_key(workspace, "openai", &openai_key(n));
            request.enable_byo = true;
            two.one.admin().set_key(request).await.ok()
        })
        .await;
        two.hand_out(workspace, Ok(n)).await;
    }
    own.restore(&earlier).await;
    two.hand_out("acme", Ok(2)).await;
    // It never existed.
    two.hand_out("globex", Ok(1)).await;
    // Fewer changes than were seen before, so that revisions are used a second time.
    two.one.set_key("acme", "openai", &openai_key(6)).await;
    two.hand_out("acme", Ok(6)).await;
    two.other.toggle("acme", false).await;
    two.hand_out("acme", Ok(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_database_after_a_failover_is_served_as_it_is() {
    let mut own = OwnPostgres::start().await;
    let two = Two::start(&own.url(), "").await;
    two.one.set_key("acme", "openai", &openai_key(1)).await;
    two.one.toggle("acme", true).await;
    two.hand_out("acme", Ok(1)).await;
    own.fail_over().await;
    for n in 2..5 {
        until("a key is set", async || {
            let request = crate::support::new_key("acme", "openai", &openai_key(n));
            two.one.admin().set_key(request).await.ok()
        })
        .await;
        two.hand_out("acme", Ok(n)).await;
    }
}

/// Two concurrent changes: the log is in the order of the commits, not of the beginnings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn no_change_is_skipped_that_began_earlier_and_commits_later() {
    let url = postgres::shared().await;
    let two = Two::start(&url, "").await;
    two.one.set_platform_key("openai", &openai_key(1)).await;
    for workspace in ["first", "second"] {
        two.one.set_key(workspace, "openai", &openai_key(2)).await;
        two.hand_out(workspace, Ok(1)).await;
    }
    let store = Store::open(&StoreSettings::at(&url), OpenMode::Maintain)
        .await
        .unwrap();
    let scope = |workspace: &str| Scope::Workspace(WorkspaceId::parse(workspace).unwrap());
    let first = store.begin(&scope("first")).await.unwrap();
    let second = store.begin(&scope("second")).await.unwrap();
    let (mut of_first, mut of_second) = (
        Draft::new(first.holder().await.unwrap()),
        Draft::new(second.holder().await.unwrap()),
    );
    of_first.set_byo(true);
    of_second.set_byo(true);
    let now = OffsetDateTime::now_utc();
    second.commit(&of_second, event(), None, now).await.unwrap();
    two.hand_out("second", Ok(2)).await;
    first.commit(&of_first, event(), None, now).await.unwrap();
    two.hand_out("first", Ok(2)).await;
    let database = crate::support::store::connect(&url).await;
    let of = |workspace: &str| {
        format!("SELECT max(sequence) FROM change_log WHERE workspace_id = '{workspace}'")
    };
    assert!(number(&database, &of("first")).await > number(&database, &of("second")).await);
    store.close().await;
}

fn event() -> AuditEvent {
    AuditEvent {
        actor: "tests".to_owned(),
        on_behalf_of: OnBehalfOf::parse("").unwrap(),
        action: Rpc::ToggleByo,
        provider: None,
        before: json!({}),
        after: json!({}),
        verdict: None,
        request_id: None,
    }
}

/// A replica that slept has seen nothing, and knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn the_first_answer_after_a_long_pause_is_fresh() {
    let fleet = Fleet::on_postgres().await;
    let awake = fleet.start().await;
    set_keys(&awake, 1).await;
    let site = fleet.another().await;
    let paused = fleet.start_at(&site).await;
    let mut resolver = paused.keys(Role::Resolver).await;
    let resolve = || ask("w0", "", "openai", "");
    let warm = resolver
        .resolve_credentials(resolve())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(warm.credential.unwrap().api_key, openai_key(0));
    paused.pause();
    let began = Instant::now();
    let mut admin = awake.keys(Role::Admin).await;
    admin
        .set_key(crate::support::new_key("w0", "openai", &openai_key(7)))
        .await
        .unwrap();
    let asked = tokio::spawn(async move { resolver.resolve_credentials(resolve()).await });
    // Longer than an answer from memory is valid without a read of the log.
    until("the pause is long", async || {
        (began.elapsed() > Duration::from_secs(6)).then_some(())
    })
    .await;
    paused.resume();
    let resolved = asked.await.unwrap().unwrap().into_inner();
    assert_eq!(resolved.credential.unwrap().api_key, openai_key(7));
}

/// Even to a day without data keys, which all replicas hold in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_database_restored_to_its_first_day_gets_new_data_keys() {
    let mut own = OwnPostgres::start().await;
    Store::migrate(&StoreSettings::at(&own.url()))
        .await
        .unwrap();
    let first_day = own.copy().await;
    let two = Two::start(&own.url(), "").await;
    two.one.set_key("acme", "openai", &openai_key(1)).await;
    two.one.toggle("acme", true).await;
    two.hand_out("acme", Ok(1)).await;
    own.restore(&first_day).await;
    two.hand_out("acme", Err("PLATFORM_KEY_MISSING")).await;
    for (byokd, n) in [(&two.one, 2), (&two.other, 3)] {
        until("a key is set", async || {
            let mut request = crate::support::new_key("acme", "openai", &openai_key(n));
            request.enable_byo = true;
            byokd.admin().set_key(request).await.ok()
        })
        .await;
        two.hand_out("acme", Ok(n)).await;
    }
}
