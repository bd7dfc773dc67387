//! A KMS that is gone for an hour, many callers at once, and the rate of requests to the KMS afterwards.
#![expect(clippy::print_stderr, reason = "figures are for people")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::support::fleet::workspace;
use crate::support::{
    Byokd, FakeKms, KmsFault, KmsProxy, answered, ask, byokd::Keys, fake_kms::REGION, new_key,
    openai_key, postgres, refused, rows::number, until,
};

const MINUTE: Duration = Duration::from_secs(60);
/// The long form has as many callers as two cores allow.
fn crowd() -> u32 {
    if std::env::var("BYOKD_TESTS_LONG").is_ok() {
        10_000
    } else {
        1_000
    }
}

/// The period of the background task that refreshes data keys, in real time, whatever the clock says.
const ROUND: Duration = Duration::from_secs(1);

/// A byokd on PostgreSQL under an AWS KMS key, as soon as all data keys exist.
async fn start(endpoint: String, arn: String) -> Byokd {
    let url = postgres::shared().await;
    let byokd = Byokd::start_with(move |config| {
        config.database.url = url;
        config.database.read_connections = 16;
        config.kms.key = arn;
        config.kms.region = REGION.to_owned();
        config.kms.endpoint_url = endpoint;
    })
    .await;
    let database = byokd.database().await;
    until("all data keys exist", async || {
        (number(&database, "SELECT count(*) FROM data_keys").await == 256).then_some(())
    })
    .await;
    database.close().await.unwrap();
    byokd
}

async fn set(byokd: &Byokd, n: u32) {
    byokd.set_key(&workspace(n), "openai", &openai_key(n)).await;
}

/// Advances the clock with real time, so that a backoff of a second ends.
fn ticking(byokd: &Byokd) -> JoinSet<()> {
    let (clock, mut ticking) = (byokd.clock.clone(), JoinSet::new());
    ticking.spawn(async move {
        loop {
            tokio::time::sleep(ROUND).await;
            clock.advance(ROUND);
        }
    });
    ticking
}

/// The key that is issued in the end; a caller that is asked to retry in a second does so.
async fn handed_out(resolver: &mut Keys, workspace: &str) -> String {
    loop {
        let answer = resolver
            .resolve_credentials(ask(workspace, "", "openai", ""))
            .await;
        if let Some(resolved) = answered(answer).await {
            return resolved.into_inner().credential.unwrap().api_key.clone();
        }
    }
}

/// Restarts and unwraps all data keys, without having read a workspace.
async fn warm_again(byokd: Byokd, kms: &KmsProxy) -> Byokd {
    kms.forget_calls();
    let byokd = byokd.restart().await;
    until("it is warm", async || {
        (kms.count("Decrypt") >= 256).then_some(())
    })
    .await;
    byokd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn an_hour_without_the_kms_fails_no_call_and_its_return_causes_no_burst() {
    const TOUCHED: std::ops::Range<u32> = 0..20;
    const UNTOUCHED: std::ops::Range<u32> = 20..60;
    let kms = KmsProxy::start().await;
    let arn = kms.create_key().await;
    let byokd = start(kms.endpoint(), arn.clone()).await;
    for n in TOUCHED.chain(UNTOUCHED) {
        set(&byokd, n).await;
        byokd.toggle(&workspace(n), true).await;
    }
    let byokd = warm_again(byokd, &kms).await;
    for n in TOUCHED {
        assert_eq!(
            byokd.secret(&workspace(n), "openai").await.unwrap(),
            openai_key(n)
        );
    }
    // Just before the first refresh: the worst moment.
    byokd.pass(10 * MINUTE - Duration::from_secs(1));
    kms.set(KmsFault::Dead);
    for (five_minutes, untouched) in (0..12).zip(UNTOUCHED.step_by(3)) {
        let before = kms.calls().len();
        byokd.pass(5 * MINUTE);
        // Before the background task has noticed the time, and afterwards.
        for n in [five_minutes, untouched] {
            assert_eq!(
                byokd.secret(&workspace(n), "openai").await.unwrap(),
                openai_key(n)
            );
        }
        until("the KMS is asked in vain", async || {
            (kms.calls().len() > before).then_some(())
        })
        .await;
        set(&byokd, untouched + 1).await;
        set(&byokd, 1_000 + untouched).await;
        assert_eq!(
            byokd
                .secret(&workspace(untouched + 2), "openai")
                .await
                .unwrap(),
            openai_key(untouched + 2)
        );
    }

    // It recovers after an hour: data keys are unwrapped a few at a time, and no call waits for that.
    kms.heal();
    kms.forget_calls();
    byokd.pass(Duration::from_secs(5));
    let began = Instant::now();
    until("everything was unwrapped again", async || {
        for n in TOUCHED {
            byokd.secret(&workspace(n), "openai").await.unwrap();
        }
        (kms.count("Decrypt") >= 256).then_some(())
    })
    .await;
    let calls = kms.calls();
    let most = (0..calls.len())
        .map(|first| {
            calls[first..]
                .iter()
                .take_while(|call| call.at - calls[first].at < ROUND * 9 / 10)
                .count()
        })
        .max();
    let most = most.unwrap();
    eprintln!(
        "256 data keys unwrapped again in {:?} by {} calls; at most {most} in 0.9 s",
        began.elapsed(),
        calls.len()
    );
    // 16 a round, and of the second round the early ones, because the first round was slow.
    assert!(most <= 2 * 16 + 4, "{most} calls at once");
    assert!(calls.len() <= 256 + 8, "{} calls", calls.len());
    kms.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn no_data_key_is_used_after_seventy_five_minutes_and_recovery_takes_seconds() {
    let kms = KmsProxy::start().await;
    let arn = kms.create_key().await;
    let byokd = start(kms.endpoint(), arn).await;
    set(&byokd, 1).await;
    byokd.toggle("w1", true).await;
    kms.set(KmsFault::Dead);
    byokd.pass(75 * MINUTE - Duration::from_secs(1));
    assert_eq!(byokd.secret("w1", "openai").await.unwrap(), openai_key(1));
    byokd.pass(Duration::from_secs(1));
    assert_eq!(
        refused(byokd.resolve("w1", "", "openai").await),
        "KMS_UNAVAILABLE"
    );
    let refusal = byokd
        .admin()
        .set_key(new_key("w1", "openai", &openai_key(2)))
        .await;
    assert_eq!(refused(refusal), "KMS_UNAVAILABLE");
    kms.heal();
    kms.forget_calls();
    let mut seconds = 0;
    until("it resolves again", async || {
        seconds += 1;
        byokd.pass(Duration::from_secs(1));
        byokd.secret("w1", "openai").await.ok()
    })
    .await;
    assert!(seconds <= 10, "{seconds} s");
    until("it is warm", async || {
        (kms.count("Decrypt") >= 256).then_some(())
    })
    .await;
    set(&byokd, 1).await;
    assert!(kms.calls().len() <= 256 + 8, "{} calls", kms.calls().len());
}

/// Cold, and all callers at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_crowd_on_a_cold_replica_costs_one_call_for_each_data_key() {
    const WORKSPACES: u32 = 300;
    let kms = FakeKms::start().await;
    let arn = kms.add_key("alias/byokd");
    let byokd = start(kms.url(), arn).await;
    let mut admin = byokd.admin();
    for n in 0..WORKSPACES {
        let mut request = new_key(&workspace(n), "openai", &openai_key(n));
        request.enable_byo = true;
        admin.set_key(request).await.unwrap();
    }
    kms.forget_calls();
    let byokd = byokd.restart().await;
    let _ticking = ticking(&byokd);
    let mut resolving = JoinSet::new();
    let resolver = byokd.resolver();
    for n in 0..crowd() {
        let (mut resolver, n) = (resolver.clone(), n % WORKSPACES);
        resolving.spawn(async move {
            assert_eq!(
                handed_out(&mut resolver, &workspace(n)).await,
                openai_key(n)
            );
        });
    }
    resolving.join_all().await;
    until("it is warm", async || {
        (kms.count("Decrypt") >= 256).then_some(())
    })
    .await;
    let calls: Vec<_> = kms
        .calls()
        .into_iter()
        .filter(|call| call.operation == "Decrypt")
        .collect();
    let data_keys: BTreeSet<_> = calls.iter().map(|call| &call.context).collect();
    eprintln!(
        "{} resolves: {} calls for {} data keys",
        crowd(),
        calls.len(),
        data_keys.len()
    );
    // One each; on a busy machine a call may exceed its half second, and is repeated.
    assert_eq!(data_keys.len(), 256);
    assert!(calls.len() <= 256 + 64, "{} calls", calls.len());
    assert_eq!(kms.count("GenerateDataKey"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services: ./tests/run services"]
async fn a_crowd_of_unknown_workspaces_costs_no_call_at_all() {
    let kms = FakeKms::start().await;
    let arn = kms.add_key("alias/byokd");
    let byokd = start(kms.url(), arn).await;
    byokd.set_platform_key("openai", &openai_key(1)).await;
    kms.forget_calls();
    let _ticking = ticking(&byokd);
    let mut resolving = JoinSet::new();
    let resolver = byokd.resolver();
    for n in 0..crowd() {
        let mut resolver = resolver.clone();
        resolving.spawn(async move {
            assert_eq!(
                handed_out(&mut resolver, &format!("unknown-{n}")).await,
                openai_key(1)
            );
        });
    }
    resolving.join_all().await;
    assert_eq!(
        kms.count("Decrypt") + kms.count("GenerateDataKey"),
        0,
        "{:?}",
        kms.calls()
    );
}
