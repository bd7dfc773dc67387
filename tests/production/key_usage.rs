//! ListKeyUsage over two replicas, one of which loses its database for a while.

use byokd::config::Config;

use crate::{
    rpc::list_key_usage::{acme_with_a_key, resolve, resolver, usage},
    support::{Byokd, Network, Proxy, ask, postgres, until},
};

/// Two replicas add to the same rows, and one loses its database for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn two_replicas_count_together_also_after_an_outage_of_the_database() {
    let url = postgres::shared().await;
    let (proxy, through) = Proxy::before(&url).await;
    let one = Byokd::start_with(|config| config.database.url = url.clone()).await;
    acme_with_a_key(&one).await;
    let (catalog, key_file) = (one.config.catalog.file.clone(), one.config.kms_key_file());
    let other = Byokd::start_with(|config: &mut Config| {
        config.database.url = through;
        config.catalog.file = catalog;
        config.kms.key_file = key_file;
    })
    .await;
    resolve(&one, "chat", 7).await;
    resolve(&other, "chat", 5).await;
    proxy.set(Network::Refuse);
    let mut granted = 5;
    let mut caller = resolver(&other, "chat");
    until("the outage was noticed", async || {
        let resolved = caller
            .resolve_credentials(ask("acme", "", "openai", ""))
            .await
            .unwrap();
        granted += 1;
        resolved.into_inner().degraded.then_some(())
    })
    .await;
    proxy.set(Network::Pass);
    let one = one.restart().await;
    let other = other.restart().await;
    let counted: u64 = usage(&one, 0).await.values().sum();
    assert_eq!(counted, 7 + granted);
    assert_eq!(usage(&other, 0).await, usage(&one, 0).await);
}
