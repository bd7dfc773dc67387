//! KMS keys that are disabled or deleted, and aliases that move.

use super::*;
use crate::kms::fake_kms::Failure;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_kms_key_that_is_disabled_takes_its_data_keys_with_it() {
    for state in ["Disabled", "PendingDeletion"] {
        let world = World::new().await;
        let ring = world.warm().await;
        world.fake.set_state(&world.arn, state);
        // Without calls, the background detects it within a minute and checks again after half a minute.
        world.pass(&ring, 95 * SECOND, SECOND).await;
        assert!(!ring.is_warm());
        world.fake.forget_calls();
        for scope in of_each_bucket() {
            assert_eq!(
                reason(ring.active(&scope).await),
                Some(Reason::KmsUnavailable),
                "{state}"
            );
        }
        assert_eq!(world.fake.calls().len(), 0, "closed without asking");
        world.fake.set_state(&world.arn, "Enabled");
        world.pass(&ring, 40 * SECOND, SECOND).await;
        assert!(ring.is_warm(), "{state}");
        ring.active(&workspace("acme")).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_seen_once_or_twice_at_once_drops_nothing() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.pass(&ring, 9 * MINUTE, MINUTE).await;
    let key = ring.active(&workspace("acme")).await.unwrap();
    world
        .fake
        .fail(Some(Failure::Answer(400, "DisabledException")));
    world.clock.advance(MINUTE);
    ring.tick().await;
    world.pass(&ring, 25 * SECOND, SECOND).await;
    assert!(Arc::ptr_eq(
        &key,
        &ring.active(&workspace("acme")).await.unwrap()
    ));
    // A success restarts the count.
    world.fake.fail(None);
    world.pass(&ring, 7 * SECOND, SECOND).await;
    world
        .fake
        .fail(Some(Failure::Answer(400, "DisabledException")));
    world.pass(&ring, 25 * SECOND, SECOND).await;
    assert!(ring.is_warm());
    world.fake.fail(None);
    world.pass(&ring, 2 * MINUTE, SECOND).await;
    assert!(ring.is_warm());
}

/// Beyond the soft age a bad state is no outage.
#[tokio::test]
async fn an_old_data_key_is_not_used_once_its_kms_key_was_seen_disabled() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    world.clock.advance(16 * MINUTE);
    world
        .fake
        .fail(Some(Failure::Answer(400, "DisabledException")));
    assert_eq!(
        reason(ring.active(&acme).await),
        Some(Reason::KmsUnavailable)
    );
    // Nor if the KMS falls silent after that.
    world
        .fake
        .fail(Some(Failure::Answer(500, "KMSInternalException")));
    assert_eq!(
        reason(ring.active(&acme).await),
        Some(Reason::KmsUnavailable)
    );
    world.fake.fail(None);
    ring.active(&acme).await.unwrap();
}

/// The KMS may still do what its description forbids; the description counts.
#[tokio::test]
async fn a_description_as_disabled_outweighs_calls_that_succeed() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.fake.fail(Some(Failure::Described("Disabled")));
    world.pass(&ring, 95 * SECOND, SECOND).await;
    assert_eq!(
        reason(ring.active(&workspace("acme")).await),
        Some(Reason::KmsUnavailable)
    );
    // Nor does the background try it by calls that would succeed.
    world.fake.forget_calls();
    for _ in 0..20 {
        world.pass(&ring, SECOND, SECOND).await;
        assert_eq!(ring.held.count(world.clock.elapsed()).0, 0);
    }
    assert_eq!(world.fake.count("Decrypt"), 0);
    // What was on its way as the KMS key was closed is not held either.
    let row = ring
        .held
        .row(DataKeyId {
            bucket: 7,
            version: 1,
        })
        .unwrap();
    assert_eq!(
        ring.unwrap_and_hold(row).await.unwrap_err().reason(),
        Reason::KmsUnavailable
    );
    assert_eq!(ring.held.count(world.clock.elapsed()).0, 0);
    world.fake.fail(None);
    world.pass(&ring, 40 * SECOND, SECOND).await;
    assert!(ring.is_warm());
}

#[tokio::test]
async fn an_alias_that_moved_wraps_under_its_new_key_and_unwraps_under_both() {
    let world = World::new().await;
    let ring = world.warm().await;
    let new = world.fake.add_key(ALIAS);
    world.pass(&ring, 61 * SECOND, SECOND).await;
    assert_eq!(world.fake.count("DescribeKey"), 1);
    let id = DataKeyId {
        bucket: 7,
        version: 2,
    };
    assert_eq!(world.insert(&ring, id, false).await.kms_key_arn, new);
    ring.get(id).await.unwrap();
    world.pass(&ring, 12 * MINUTE, SECOND).await;
    assert!(ring.is_warm());
    // Each KMS key is taken back by itself.
    world.fake.set_state(&world.arn, "Disabled");
    world.pass(&ring, 12 * MINUTE, SECOND).await;
    assert!(!ring.is_warm());
    ring.get(id).await.unwrap();
    assert_eq!(
        reason(ring.active(&workspace("acme")).await),
        Some(Reason::KmsUnavailable)
    );
}
