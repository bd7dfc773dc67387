//! KMS keys and rows that moved, and names that stand for nothing.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn id_of(scope: &Scope) -> DataKeyId {
    DataKeyId {
        bucket: bucket(scope),
        version: 1,
    }
}

async fn rewrap_all(world: &World, ring: &Keyring) {
    for row in world.store.data_keys().await.unwrap() {
        let wrapped = Wrapped {
            blob: row.wrapped.clone(),
            kms_key_arn: row.kms_key_arn.clone(),
        };
        let moved = ring
            .kms
            .rewrap(&wrapped, ring.context(row.id))
            .await
            .unwrap();
        let row = DataKeyRow {
            wrapped: moved.blob,
            kms_key_arn: moved.kms_key_arn,
            ..row
        };
        world.store.overwrite_data_key(row).await;
    }
}

/// The current KMS key answers for itself alone.
#[tokio::test]
async fn a_previous_name_that_stands_for_nothing_closes_nobody() {
    let world = World::new().await;
    let gone = "01234567-89ab-cdef-0123-456789abcdef";
    let ring = world.open_with(&[gone]).await;
    world.pass(&ring, 3 * MINUTE, SECOND).await;
    assert!(ring.is_warm());
    ring.active(&workspace("acme")).await.unwrap();
    // The log still has its own state, and the end of that state.
    world.fake.set_state(&world.arn, "Disabled");
    world.pass(&ring, 3 * MINUTE, SECOND).await;
    assert!(!ring.is_warm());
    world.fake.set_state(&world.arn, "Enabled");
    world.pass(&ring, 2 * MINUTE, SECOND).await;
    assert!(ring.is_warm());
}

/// It was disabled while the alias named it, and is enabled when it does no more.
#[tokio::test]
async fn a_key_that_the_alias_left_works_again_once_it_is_enabled() {
    let world = World::new().await;
    let ring = world.warm().await;
    world.fake.set_state(&world.arn, "Disabled");
    world.pass(&ring, 65 * SECOND, SECOND).await;
    world.fake.add_key(ALIAS);
    world.pass(&ring, 2 * MINUTE, SECOND).await;
    assert!(!ring.is_warm());
    world.fake.set_state(&world.arn, "Enabled");
    world.pass(&ring, 2 * MINUTE, SECOND).await;
    assert!(ring.is_warm());
}

/// Another replica saw the alias move, and moved the rows, before this one asked again.
#[tokio::test]
async fn rows_that_moved_before_the_alias_was_asked_for_are_unwrapped() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    let before = ring.active(&acme).await.unwrap();
    let new = world.fake.add_key(ALIAS);
    rewrap_all(&world, &world.open_with(&[&world.arn]).await).await;
    world.clock.advance(16 * MINUTE);
    world.fake.forget_calls();
    let after = ring.active(&acme).await.unwrap();
    assert_eq!(before.fingerprint(b"same"), after.fingerprint(b"same"));
    let calls = world.fake.calls();
    let calls: Vec<_> = calls.iter().map(|call| call.key_id.as_str()).collect();
    assert_eq!(calls, [ALIAS, &new]);
}

/// Moved under a KMS key that is not configured: cached data keys serve as long as in an outage, without a KMS call.
#[tokio::test]
async fn what_is_held_of_a_row_that_moved_to_a_stranger_is_served_within_its_ages() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    let held = ring.active(&acme).await.unwrap();
    let row = world.store.data_key(held.id).await.unwrap().unwrap();
    let stranger = world.fake.add_key("alias/stranger");
    let moved = DataKeyRow {
        wrapped: vec![7; 120],
        kms_key_arn: stranger.clone(),
        ..row.clone()
    };
    world.store.overwrite_data_key(moved).await;
    world.pass(&ring, 74 * MINUTE, 2 * SECOND).await;
    assert!(Arc::ptr_eq(&held, &ring.active(&acme).await.unwrap()));
    assert!(Arc::ptr_eq(&held, &ring.get(held.id).await.unwrap()));
    assert!(
        world.fake.count("DescribeKey") <= 3 * 74,
        "{}",
        world.fake.count("DescribeKey")
    );
    world.pass(&ring, 2 * MINUTE, 2 * SECOND).await;
    assert_eq!(
        reason(ring.active(&acme).await),
        Some(Reason::RecordCorrupt)
    );
    assert_eq!(reason(ring.get(held.id).await), Some(Reason::RecordCorrupt));
    assert!(
        world
            .fake
            .calls()
            .iter()
            .all(|call| call.key_id != stranger),
        "no call for a stranger's key"
    );
    ring.active(&workspace("globex")).await.unwrap();
    world.store.overwrite_data_key(row).await;
    ring.active(&acme).await.unwrap();
}

/// Of two that were made the other one was committed: records under the cached one would not open elsewhere.
#[tokio::test]
async fn another_blob_under_the_same_kms_key_is_another_data_key() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    let lost = ring.active(&acme).await.unwrap();
    let other = world.open().await.candidate(id_of(&acme)).await.unwrap();
    world.store.overwrite_data_key(other.row).await;
    world.pass(&ring, 61 * SECOND, SECOND).await;
    let kept = ring.active(&acme).await.unwrap();
    assert_eq!(kept.id, lost.id);
    assert_ne!(kept.fingerprint(b"same"), lost.fingerprint(b"same"));
    let of_other = DataKey::new(kept.id, &other.secret).unwrap();
    assert_eq!(kept.fingerprint(b"same"), of_other.fingerprint(b"same"));
}

#[tokio::test]
async fn a_successor_is_held_and_whoever_found_the_one_before_retired_reads_nothing() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    let old = ring.active(&acme).await.unwrap();
    let new = ring.succeed(bucket(&acme)).await.unwrap();
    assert!(Arc::ptr_eq(&new, &ring.get(new.id).await.unwrap()));
    let planted = DataKeyId {
        version: 9,
        ..new.id
    };
    world.insert(&ring, planted, true).await;
    // Only a read shows version 9.
    assert!(Arc::ptr_eq(
        &new,
        &ring.renew_active(&acme, old.id).await.unwrap()
    ));
    assert_eq!(world.fake.count("Decrypt"), 0);
    assert_eq!(ring.renew_active(&acme, new.id).await.unwrap().id, planted);
}
