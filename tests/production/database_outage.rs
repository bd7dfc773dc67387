//! A database that is unreachable: at the start, and later.

use std::net::TcpListener;

use byokd::domain::caller::Role;
use tokio::net::TcpStream;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::admin::{Admin, log_at_once, serve};
use crate::support::{Network, Proxy, Site, ask, new_key, openai_key, postgres, reason, until};

/// The admin port answers at once; the contract's port refuses until the database answers.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_start_without_a_database_waits_for_it_and_logs_so() {
    for away in [Network::Refuse, Network::Blackhole] {
        let (proxy, url) = Proxy::before(&postgres::shared().await).await;
        proxy.set(away);
        let site = Site::on_sqlite().await;
        // A port without a listener: the other tests are on 127.0.0.1.
        let contract = TcpListener::bind("127.0.0.7:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut command = site.command(&[
            "serve",
            "--listen",
            &contract.to_string(),
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        log_at_once(&mut command).env("BYOKD__DATABASE__URL", &url);
        let mut process = site.spawn(command);
        let admin = Admin::of(&mut process).await;
        admin.awaits("database: not reached yet").await;
        assert_eq!(
            admin.health("byok.v1.Unknown").await,
            Err(tonic::Code::NotFound)
        );
        let refused = TcpStream::connect(contract).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        if away == Network::Refuse {
            until("it was tried again", async || {
                (proxy.accepted() > 4).then_some(())
            })
            .await;
            let said = process.said();
            assert_eq!(
                said.matches("byokd waits for the database").count(),
                1,
                "{said}"
            );
            assert!(said.contains("PostgreSQL at 127.0.0.1"), "{said}");
        }
        proxy.set(Network::Pass);
        let mut process = site.listening(process).await;
        admin.ready().await;
        let mut keys = process.keys(Role::Resolver).await;
        keys.resolve_credentials(ask("acme", "llama", "", ""))
            .await
            .unwrap();
        process.terminate();
        assert!(process.ended().await.success(), "{}", process.said());
    }
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn sigterm_ends_a_waiting_start_at_once_with_0() {
    let (proxy, url) = Proxy::before(&postgres::shared().await).await;
    for away in [Network::Refuse, Network::Blackhole] {
        proxy.set(away);
        let site = Site::on_sqlite().await;
        let mut command = serve(&site);
        // A balancer sends no calls here, so no caller notices.
        command
            .env("BYOKD__DATABASE__URL", &url)
            .env("BYOKD__SERVER__SHUTDOWN_DELAY_MS", "60000");
        let mut process = site.spawn(command);
        let admin = Admin::of(&mut process).await;
        admin.awaits("database: not reached yet").await;
        process.terminate();
        let end = tokio::time::timeout(std::time::Duration::from_secs(10), process.ended()).await;
        assert_eq!(
            end.expect("it ends at once").code(),
            Some(0),
            "{}",
            process.said()
        );
        assert!(!site.data().join("server").exists());
    }
}

/// The grace is that of a short lease.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn an_outage_beyond_the_grace_costs_readiness_until_its_end() {
    let (proxy, url) = Proxy::before(&postgres::shared().await).await;
    let site = Site::on_sqlite().await;
    let mut command = serve(&site);
    command
        .env("BYOKD__DATABASE__URL", &url)
        .env("BYOKD__RESOLUTION__LEASE_SECONDS", "10");
    let mut process = site.spawn(command);
    let admin = Admin::of(&mut process).await;
    let process = site.listening(process).await;
    admin.ready().await;
    let mut set = new_key("acme", "openai", &openai_key(1));
    set.enable_byo = true;
    process.keys(Role::Admin).await.set_key(set).await.unwrap();
    let mut resolver = process.keys(Role::Resolver).await;
    resolver
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await
        .unwrap();

    proxy.set(Network::Refuse);
    until("what is known is served as degraded", async || {
        let resolved = resolver
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .ok()?;
        resolved.into_inner().degraded.then_some(())
    })
    .await;
    // Within the grace: calls are answered, so they may come.
    admin.agree(ServingStatus::Serving).await;
    assert_eq!(admin.awaited().await, None);
    until("the grace is over", async || admin.awaited().await).await;
    // Entries that were read after the last look at the log are served for that much longer.
    let refused = until("it is not served any more", async || {
        resolver
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .err()
    })
    .await;
    assert_eq!(reason(&refused), "STORE_UNAVAILABLE");
    admin.awaits("database: does not answer").await;

    proxy.set(Network::Pass);
    admin.ready().await;
    until("it resolves again", async || {
        resolver
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .ok()
    })
    .await;
    let said = process.said();
    assert_eq!(said.matches("not ready any more").count(), 1, "{said}");
}
