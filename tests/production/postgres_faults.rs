//! PostgreSQL that pauses, hangs, or accepts no changes: byokd refuses in time and recovers by itself.

use byokd::{
    domain::{
        caller::Role,
        error::Reason,
        names::{Scope, WorkspaceId},
    },
    store::{OpenMode, Store, StoreSettings},
};
use sea_orm::ConnectionTrait as _;

use crate::support::{
    Network, OwnPostgres, Proxy, Rows, Site, new_key, openai_key, postgres, rows::select, until,
};

fn scope(workspace: &str) -> Scope {
    Scope::Workspace(WorkspaceId::parse(workspace).unwrap())
}

/// A process that stops in the middle of a change is disconnected, and the next one continues.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_paused_replica_does_not_hold_a_workspace_or_the_log() {
    let url = postgres::shared().await;
    let settings = StoreSettings::at(&url);
    let (paused, other) = (
        Store::open(&settings, OpenMode::Serve).await.unwrap(),
        Store::open(&settings, OpenMode::Maintain).await.unwrap(),
    );
    let held = paused.begin(&scope("acme")).await.unwrap();
    // Another workspace is not affected.
    drop(other.begin(&scope("globex")).await.unwrap());
    until("the lock is free", async || {
        match other.begin(&scope("acme")).await {
            Ok(_dropped) => Some(()),
            Err(error) => {
                assert_eq!(error.reason(), Reason::StoreUnavailable);
                None
            }
        }
    })
    .await;
    assert_eq!(
        held.holder().await.unwrap_err().reason(),
        Reason::StoreUnavailable
    );
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_hanging_read_ends_with_its_connection() {
    let url = postgres::shared().await;
    let (network, through) = Proxy::before(&url).await;
    let store = Store::open(
        &StoreSettings {
            read_connections: 2,
            ..StoreSettings::at(&through)
        },
        OpenMode::Serve,
    )
    .await
    .unwrap();
    store.platform().await.unwrap();
    let admin = crate::support::store::connect(&url).await;
    admin
        .execute_unprepared("BEGIN; LOCK TABLE holders IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    for _ in 0..4 {
        // More calls than connections: no connection stays behind with an endless statement.
        assert_eq!(
            store.platform().await.unwrap_err().reason(),
            Reason::StoreUnavailable
        );
    }
    admin.execute_unprepared("ROLLBACK").await.unwrap();
    until("it reads again", async || store.platform().await.ok()).await;
    network.set(Network::Blackhole);
    let before = network.accepted();
    assert_eq!(
        store.platform().await.unwrap_err().reason(),
        Reason::StoreUnavailable
    );
    network.cut();
    network.set(Network::Pass);
    until("it reads again after the network was gone", async || {
        store.platform().await.ok()
    })
    .await;
    assert!(network.accepted() > before, "no new connection was made");
}

/// A standby, or a primary that accepts no changes any more: refused, and byokd recovers by itself.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn changes_succeed_again_after_the_server_was_read_only() {
    let own = OwnPostgres::start().await;
    let site = Site::new().await;
    let mut serve = site.serve();
    serve.env("BYOKD__DATABASE__URL", own.url());
    let process = site.start_as(serve).await;
    let mut admin = process.keys(Role::Admin).await;
    admin
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    own.set_read_only(true).await;
    let refused = until("changes are refused", async || {
        admin
            .set_key(new_key("acme", "openai", &openai_key(2)))
            .await
            .err()
    });
    assert_eq!(crate::support::reason(&refused.await), "STORE_UNAVAILABLE");
    own.set_read_only(false).await;
    until("changes are made again", async || {
        admin
            .set_key(new_key("acme", "openai", &openai_key(3)))
            .await
            .ok()
    })
    .await;
    let database = crate::support::store::connect(&own.url()).await;
    Rows::of(&database, "acme")
        .await
        .assert_whole("after it was read-only");
    let rows = select(
        &database,
        "SELECT 1 FROM holders WHERE workspace_id = $1",
        "acme",
    )
    .await;
    assert_eq!(rows.len(), 1);
    database.close().await.unwrap();
}

/// Each refused change discovers that the server is read-only. Reads must not pay for that.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn changes_on_a_read_only_server_do_not_cost_the_readers_connections() {
    let own = OwnPostgres::start().await;
    let (network, through) = Proxy::before(&own.url()).await;
    let site = Site::new().await;
    let mut serve = site.serve();
    serve.env("BYOKD__DATABASE__URL", &through);
    let process = site.start_as(serve).await;
    let mut admin = process.keys(Role::Admin).await;
    admin
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    own.set_read_only(true).await;
    let before = (network.accepted(), std::time::Instant::now());
    for n in 2..32 {
        admin
            .set_key(new_key("acme", "openai", &openai_key(n)))
            .await
            .unwrap_err();
    }
    // Six connections and the one that listens, at most every two seconds.
    let rounds = 2 + usize::try_from(before.1.elapsed().as_secs() / 2).unwrap();
    let made = network.accepted() - before.0;
    assert!(
        made <= 7 * rounds,
        "{made} connections for 30 refused changes"
    );
}
