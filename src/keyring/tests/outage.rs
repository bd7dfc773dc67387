//! Ages, and what an outage of the KMS does to them.

use super::*;
use crate::kms::fake_kms::Failure;

const SECOND: Duration = Duration::from_secs(1);
const DOWN: Option<Failure> = Some(Failure::Answer(500, "KMSInternalException"));

/// A KMS that takes its key back is obeyed.
#[tokio::test]
async fn a_data_key_is_unwrapped_anew_after_fifteen_minutes_however_hot_it_is() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.open_local().await;
    let first = ring.active(&acme).await.unwrap();
    for _ in 0..14 {
        world.clock.advance(MINUTE);
        assert!(Arc::ptr_eq(&first, &ring.active(&acme).await.unwrap()));
    }
    world.clock.advance(MINUTE);
    let second = ring.active(&acme).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && first.id == second.id);
    assert!(Arc::ptr_eq(&second, &ring.get(second.id).await.unwrap()));
}

/// Used or not, between ten and eleven minutes of age, a few at a time.
#[tokio::test]
async fn every_data_key_is_refreshed_in_the_background() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.pass(&ring, 10 * MINUTE - SECOND, 30 * SECOND).await;
    assert_eq!(world.fake.count("Decrypt"), 0);
    let mut before = 0;
    for _ in 0..62 {
        world.pass(&ring, SECOND, SECOND).await;
        let now = world.fake.count("Decrypt");
        assert!(now - before <= 16, "{}", now - before);
        before = now;
    }
    assert_eq!(before, 256);
    world.fake.forget_calls();
    // No call waits for the KMS.
    for _ in 0..60 {
        world.pass(&ring, MINUTE, 10 * SECOND).await;
        let calls = world.fake.count("Decrypt");
        for scope in of_each_bucket() {
            ring.active(&scope).await.unwrap();
        }
        assert_eq!(world.fake.count("Decrypt"), calls);
    }
}

/// A round that comes late refreshes no more than one that does not.
#[tokio::test]
async fn what_is_held_is_refreshed_at_a_pace() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.clock.advance(14 * MINUTE);
    for round in 1..=16 {
        ring.tick().await;
        assert_eq!(world.fake.count("Decrypt"), 16 * round);
    }
    ring.tick().await;
    assert_eq!(world.fake.count("Decrypt"), 256);
}

/// Sixty minutes without the KMS, for every workspace, also for workspaces without earlier calls.
#[tokio::test]
async fn a_warm_keyring_outlives_an_outage_of_an_hour_and_no_key_its_seventy_five_minutes() {
    let world = World::new().await;
    let ring = world.warm().await;
    // Just before the first refresh: the worst moment.
    world.pass(&ring, 10 * MINUTE - SECOND, MINUTE).await;
    world.fake.fail(DOWN);
    world.pass(&ring, 60 * MINUTE, 2 * SECOND).await;
    let during = world.fake.calls().len();
    assert!(
        during < 3_000,
        "{during} calls to a KMS that does not answer"
    );
    for scope in of_each_bucket() {
        let key = ring.active(&scope).await.unwrap();
        ring.get(key.id).await.unwrap();
    }
    assert_eq!(
        world.fake.calls().len(),
        during,
        "a call waited for a KMS that does not answer"
    );
    world.pass(&ring, 5 * MINUTE + SECOND, 10 * SECOND).await;
    for scope in of_each_bucket() {
        assert_eq!(
            reason(ring.active(&scope).await),
            Some(Reason::KmsUnavailable)
        );
    }
    assert!(!ring.is_warm());
    let error = ring.active(&workspace("acme")).await.unwrap_err();
    assert!(error.retry_delay().is_some());
}

/// Without the background, the hot path finds out by itself, and one call is all that it costs.
#[tokio::test]
async fn beyond_the_soft_age_the_hot_path_asks_and_serves_what_it_holds() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    for failure in [Failure::Dead, Failure::Answer(400, "AccessDeniedException")] {
        world.fake.fail(None);
        let before = ring.active(&acme).await.unwrap();
        world.clock.advance(15 * MINUTE);
        world.fake.fail(Some(failure));
        assert!(Arc::ptr_eq(&before, &ring.active(&acme).await.unwrap()));
        world.fake.forget_calls();
        assert!(Arc::ptr_eq(&before, &ring.active(&acme).await.unwrap()));
        assert_eq!(world.fake.calls().len(), 0);
        world.fake.fail(None);
        world.pass(&ring, 40 * SECOND, SECOND).await;
        assert!(!Arc::ptr_eq(&before, &ring.active(&acme).await.unwrap()));
    }
}

/// After an outage, all that is held goes on being served until the background has caught up at its pace.
#[tokio::test]
async fn recovery_is_no_burst() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.fake.fail(DOWN);
    world.pass(&ring, 40 * MINUTE, 5 * SECOND).await;
    world.fake.fail(None);
    world.fake.forget_calls();
    let scopes = of_each_bucket();
    let mut before = 0;
    for _ in 0..30 {
        world.pass(&ring, SECOND, SECOND).await;
        for scope in &scopes {
            ring.active(scope).await.unwrap();
        }
        let now = world.fake.count("Decrypt");
        assert!(now - before <= 17, "{}", now - before);
        before = now;
    }
    assert!((256..=258).contains(&before), "{before}");
    // It is over: who is old is asked for again.
    world.clock.advance(16 * MINUTE);
    ring.active(&workspace("acme")).await.unwrap();
    assert_eq!(world.fake.count("Decrypt"), before + 1);
}

/// A refusal is an outage as far as callers go.
#[tokio::test]
async fn a_refusal_by_the_kms_is_outlived_like_an_outage() {
    let world = World::new().await;
    let ring = world.warm().await;
    world
        .fake
        .fail(Some(Failure::Answer(400, "AccessDeniedException")));
    world.pass(&ring, 74 * MINUTE, 5 * SECOND).await;
    ring.active(&workspace("acme")).await.unwrap();
    assert!(
        world.fake.calls().len() < 3_000,
        "{}",
        world.fake.calls().len()
    );
    world.pass(&ring, 2 * MINUTE, 5 * SECOND).await;
    assert_eq!(
        reason(ring.active(&workspace("acme")).await),
        Some(Reason::KmsUnavailable)
    );
    world.fake.fail(None);
    world.pass(&ring, 10 * SECOND, SECOND).await;
    assert!(ring.is_warm());
}
