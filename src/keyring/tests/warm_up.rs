//! From an empty database to every data key in memory, by one call for each.

use tokio::sync::Semaphore;

use super::*;
use crate::kms::fake_kms::Failure;

#[tokio::test]
async fn warming_up_makes_each_data_key_by_one_call_and_unwraps_each_by_one() {
    let world = World::new().await;
    let ring = world.open().await;
    assert!(!ring.is_warm());
    ring.tick().await;
    assert!(ring.is_warm());
    assert_eq!(
        (
            world.fake.count("GenerateDataKey"),
            world.fake.count("Decrypt")
        ),
        (256, 0)
    );
    assert_eq!(world.fake.count("DescribeKey"), 1);
    for row in world.store.data_keys().await.unwrap() {
        assert_eq!(
            (row.kms_key_arn, row.active, row.id.version),
            (world.arn.clone(), true, 1)
        );
    }
    for scope in of_each_bucket() {
        ring.active(&scope).await.unwrap();
    }
    // Another process finds them.
    world.fake.forget_calls();
    let second = world.open().await;
    second.tick().await;
    assert!(second.is_warm());
    assert_eq!(
        (
            world.fake.count("GenerateDataKey"),
            world.fake.count("Decrypt")
        ),
        (0, 256)
    );
    for scope in of_each_bucket() {
        let (a, b) = (
            ring.active(&scope).await.unwrap(),
            second.active(&scope).await.unwrap(),
        );
        assert_eq!(a.fingerprint(b"same"), b.fingerprint(b"same"));
    }
    for call in world
        .fake
        .calls()
        .iter()
        .filter(|call| call.operation == "Decrypt")
    {
        assert_eq!(call.key_id, world.arn);
        assert_eq!(
            call.context["deployment"],
            world.store.deployment().to_string()
        );
        assert_eq!(
            (
                call.context["service"].as_str(),
                call.context["version"].as_str()
            ),
            ("byokd", "1")
        );
    }
}

/// What readiness and the metrics ask, and what a process does last.
#[tokio::test]
async fn what_is_held_is_counted_with_its_age_and_can_be_forgotten() {
    let world = World::new().await;
    let ring = world.open().await;
    assert_eq!(
        (ring.held(), ring.oldest_age()),
        ((0, 0), None),
        "none is made yet"
    );
    ring.tick().await;
    assert_eq!(
        (ring.held(), ring.oldest_age()),
        ((256, 256), Some(Duration::ZERO))
    );
    world.fake.fail(Some(Failure::Dead));
    world.clock.advance(Duration::from_secs(75 * 60 - 1));
    assert_eq!(
        (ring.held(), ring.oldest_age()),
        ((256, 256), Some(Duration::from_secs(75 * 60 - 1)))
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        (ring.held(), ring.oldest_age()),
        ((0, 256), None),
        "too old to be used"
    );
    world.fake.fail(None);
    let cold = world.open().await;
    cold.active(&of_each_bucket()[0]).await.unwrap();
    let (held, known) = cold.held();
    assert!(
        (1..256).contains(&held) && known == 256,
        "{held} of {known}"
    );
    cold.forget();
    assert_eq!(cold.held(), (0, 256));
}

/// Cold, with the slowest KMS: one call for each data key, for any number of callers.
#[tokio::test]
async fn ten_thousand_first_callers_are_one_call_for_each_data_key() {
    let world = World::new().await;
    world.open().await.tick().await;
    let ring = Arc::new(world.open().await);
    let gate = Arc::new(Semaphore::new(0));
    world.fake.forget_calls();
    world.fake.fail(Some(Failure::Behind(Arc::clone(&gate))));
    let scopes = of_each_bucket();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..10_000 {
        let (ring, scope) = (Arc::clone(&ring), scopes[n % 16].clone());
        callers.spawn(async move { ring.active(&scope).await.unwrap().id });
    }
    gate.add_permits(10_000);
    let ids: std::collections::HashSet<DataKeyId> = callers.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 16);
    let calls = world.fake.calls();
    // One of them was unwrapped as the start's proof, if it was among the sixteen.
    assert!((15..=16).contains(&calls.len()), "{}", calls.len());
    assert!(calls.iter().all(|call| call.operation == "Decrypt"));
}

#[tokio::test]
async fn many_first_callers_of_a_kms_that_fails_share_its_failure() {
    let world = World::new().await;
    let ring = Arc::new(world.open().await);
    world.fake.forget_calls();
    world
        .fake
        .fail(Some(Failure::Answer(400, "AccessDeniedException")));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let ring = Arc::clone(&ring);
        callers.spawn(async move { reason(ring.active(&workspace("acme")).await) });
    }
    let reasons = callers.join_all().await;
    assert!(
        reasons
            .iter()
            .all(|reason| *reason == Some(Reason::KmsUnavailable))
    );
    assert!(
        world.fake.calls().len() < 20,
        "{}",
        world.fake.calls().len()
    );
    world.fake.fail(None);
    ring.active(&workspace("acme")).await.unwrap();
}

/// Two processes on one database: the loser takes the winner's data keys.
#[tokio::test]
async fn of_two_that_create_at_once_both_hold_the_same() {
    let world = World::new().await;
    let (a, b) = (world.open().await, world.open().await);
    tokio::join!(a.tick(), b.tick());
    tokio::join!(a.tick(), b.tick());
    assert!(a.is_warm() && b.is_warm());
    assert_eq!(world.store.data_keys().await.unwrap().len(), 256);
    for scope in of_each_bucket() {
        let (a, b) = (
            a.active(&scope).await.unwrap(),
            b.active(&scope).await.unwrap(),
        );
        assert_eq!(
            (a.id, a.fingerprint(b"same")),
            (b.id, b.fingerprint(b"same"))
        );
    }
}

/// The background and the hot path at once, and callers who do not wait for the end.
#[tokio::test]
async fn callers_during_the_warm_up_cost_no_call_more_and_one_who_is_gone_harms_nothing() {
    let world = World::new().await;
    let ring = Arc::new(world.open().await);
    let gate = Arc::new(Semaphore::new(0));
    world.fake.fail(Some(Failure::Behind(Arc::clone(&gate))));
    let impatient = {
        let ring = Arc::clone(&ring);
        tokio::spawn(async move { ring.active(&workspace("acme")).await.map(|key| key.id) })
    };
    while world.fake.count("GenerateDataKey") == 0 {
        tokio::task::yield_now().await;
    }
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    gate.add_permits(100_000);
    world.fake.forget_calls();
    let together = async |ring: Arc<Keyring>| {
        let mut callers = tokio::task::JoinSet::new();
        for scope in of_each_bucket().into_iter().rev() {
            let ring = Arc::clone(&ring);
            callers.spawn(async move { ring.active(&scope).await.unwrap().id });
        }
        ring.tick().await;
        assert_eq!(callers.join_all().await.len(), 256);
        assert!(ring.is_warm());
    };
    together(ring).await;
    assert_eq!(
        (
            world.fake.count("GenerateDataKey"),
            world.fake.count("Decrypt")
        ),
        (256, 0)
    );
    let second = Arc::new(world.open().await);
    together(second).await;
    assert_eq!(
        (
            world.fake.count("GenerateDataKey"),
            world.fake.count("Decrypt")
        ),
        (256, 256)
    );
}

/// A start without the KMS: nothing is held, and all is well once it answers.
#[tokio::test]
async fn a_cold_start_without_the_kms_mends_itself() {
    let world = World::new().await;
    world.open().await.tick().await;
    world
        .fake
        .fail(Some(Failure::Answer(500, "KMSInternalException")));
    let ring = world.open().await;
    world.pass(&ring, MINUTE, Duration::from_secs(1)).await;
    assert_eq!(
        reason(ring.active(&workspace("acme")).await),
        Some(Reason::KmsUnavailable)
    );
    world.fake.fail(None);
    world
        .pass(&ring, Duration::from_secs(12), Duration::from_secs(1))
        .await;
    assert!(ring.is_warm());
}

/// From a key file to AWS: what the file wrapped opens, and what is new is the cloud's.
#[tokio::test]
async fn a_previous_key_file_unwraps_and_wraps_no_more() {
    let world = World::new().await;
    let local = world.open_local().await;
    let before = local.active(&workspace("acme")).await.unwrap();
    let kms = world.kms(&[world.key_file()]).await;
    let ring = Keyring::open(Arc::clone(&world.store), kms, world.clock.clone())
        .await
        .unwrap();
    ring.tick().await;
    let after = ring.get(before.id).await.unwrap();
    assert_eq!(after.fingerprint(b"same"), before.fingerprint(b"same"));
    assert_eq!(
        (
            world.fake.count("GenerateDataKey"),
            world.fake.count("Decrypt")
        ),
        (255, 0)
    );
    assert!(ring.is_warm());
}
