//! A KMS that is unreachable: a warm replica stays ready, a cold one does not become ready, so that a rollout
//! stops.

use std::{process::Command, time::Duration};

use byokd::domain::caller::Role;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::admin::{Admin, serve};
use crate::support::{
    Byokd, KmsFault, KmsProxy, Site, ask, fake_kms::REGION, new_key, openai_key, postgres, reason,
    until,
};

/// `byokd serve` over this database and KMS key.
fn replica(site: &Site, url: &str, kms: &KmsProxy, arn: &str) -> Command {
    let mut command = serve(site);
    command
        .env("BYOKD__DATABASE__URL", url)
        .env("BYOKD__KMS__KEY", arn)
        .env("BYOKD__KMS__REGION", REGION)
        .env("BYOKD__KMS__ENDPOINT_URL", kms.endpoint())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIDSYNTHETIC")
        .env("AWS_SECRET_ACCESS_KEY", "SECRET-OF-THE-TEST");
    command
}

#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn in_an_outage_the_warm_replica_stays_ready_and_the_cold_one_does_not_become_ready() {
    let (kms, url) = (KmsProxy::start().await, postgres::shared().await);
    let arn = kms.create_key().await;
    let (first, second) = (Site::on_sqlite().await, Site::on_sqlite().await);
    let mut warm = first.spawn(replica(&first, &url, &kms, &arn));
    let warm_admin = Admin::of(&mut warm).await;
    let warm = first.listening(warm).await;
    warm_admin.ready().await;
    // On a busy machine a call may exceed its half second, and is repeated.
    assert!(kms.count("GenerateDataKey") >= 256, "ready is warm");
    let mut set = new_key("acme", "openai", &openai_key(1));
    set.enable_byo = true;
    warm.keys(Role::Admin).await.set_key(set).await.unwrap();

    kms.set(KmsFault::Dead);
    let mut command = replica(&second, &url, &kms, &arn);
    command.env("BYOKD__CATALOG__FILE", first.path("catalog.toml"));
    let mut cold = second.spawn(command);
    let cold_admin = Admin::of(&mut cold).await;
    let cold = second.listening(cold).await;
    cold_admin
        .awaits("keyring: 0 of 256 data keys are held")
        .await;
    let refused = cold
        .keys(Role::Resolver)
        .await
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), "KMS_UNAVAILABLE");
    // It keeps trying, and that changes nothing.
    let before = kms.count("Decrypt");
    until("the KMS is asked again", async || {
        (kms.count("Decrypt") > before).then_some(())
    })
    .await;
    cold_admin
        .awaits("keyring: 0 of 256 data keys are held")
        .await;
    warm_admin.agree(ServingStatus::Serving).await;
    assert_eq!(warm_admin.awaited().await, None);
    let mut resolver = warm.keys(Role::Resolver).await;
    resolver
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await
        .unwrap();

    kms.heal();
    cold_admin.ready().await;
    cold.keys(Role::Resolver)
        .await
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await
        .unwrap();
    assert!(
        !warm.said().contains("not ready any more"),
        "{}",
        warm.said()
    );
}

/// Half an hour beyond the expiry of every data key in memory; and a damaged data key stops no start.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn no_outage_of_the_kms_alone_costs_readiness() {
    let (kms, url) = (KmsProxy::start().await, postgres::shared().await);
    let arn = kms.create_key().await;
    let byokd = Byokd::start_with(|config| {
        config.database.url = url;
        config.kms.key = arn;
        config.kms.region = REGION.to_owned();
        config.kms.endpoint_url = kms.endpoint();
    })
    .await;
    let admin = Admin::at(byokd.admin_address());
    until("it is ready", async || {
        // A backoff by this clock after a slow call would never end.
        byokd.pass(Duration::from_millis(10));
        admin.awaited().await.is_none().then_some(())
    })
    .await;
    byokd.set_key("acme", "openai", &openai_key(1)).await;
    byokd.toggle("acme", true).await;
    byokd.secret("acme", "openai").await.unwrap();
    kms.set(KmsFault::Dead);
    for _ in 0..21 {
        byokd.pass(Duration::from_secs(5 * 60));
        // The clock jumped: for half a second the state of the database is unknown.
        until("it is ready", async || {
            let awaited = admin.awaited().await;
            assert!(
                !awaited.as_deref().unwrap_or_default().contains("keyring"),
                "{awaited:?}"
            );
            awaited.is_none().then_some(())
        })
        .await;
    }
    let refused = byokd.secret("acme", "openai").await.unwrap_err();
    assert_eq!(
        reason(&refused),
        "KMS_UNAVAILABLE",
        "nothing is held any more"
    );
    admin.ready().await;
}

/// One data key that does not unwrap: 255 of 256 are more than 99 %, but only after a try of each.
#[tokio::test]
#[ignore = "needs services: ./tests/run services"]
async fn a_damaged_data_key_delays_a_start_and_does_not_stop_it() {
    use sea_orm::ConnectionTrait as _;
    let byokd = Byokd::start().await;
    Admin::at(byokd.admin_address()).ready().await;
    let database = byokd.database().await;
    let sql = "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE bucket = 8) WHERE bucket = 7";
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
    let byokd = byokd.restart().await;
    let admin = Admin::at(byokd.admin_address());
    admin.awaits("keyring: 255 of 256 data keys are held").await;
    byokd.pass(Duration::from_secs(30));
    admin.ready().await;
}
