//! Rows that others change: rotation, damage, and foreign KMS keys.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn id_of(scope: &Scope) -> DataKeyId {
    DataKeyId {
        bucket: bucket(scope),
        version: 1,
    }
}

#[tokio::test]
async fn the_newest_active_data_key_seals_and_one_that_is_damaged_keeps_none_cold() {
    let world = World::new().await;
    let (acme, ring) = (workspace("acme"), world.open_local().await);
    // What stands first is held from the start; acme's is not.
    ring.active(&workspace("globex")).await.unwrap();
    assert_eq!(ring.active(&acme).await.unwrap().id.version, 1);
    for (version, active) in [(2, true), (3, false), (4, false)] {
        let id = DataKeyId {
            bucket: bucket(&acme),
            version,
        };
        let mut row = world.insert(&ring, id, active).await;
        if version == 4 {
            row.wrapped.pop();
            world.store.overwrite_data_key(row).await;
        }
    }
    assert_eq!(
        world
            .open_local()
            .await
            .active(&acme)
            .await
            .unwrap()
            .id
            .version,
        2
    );
    let ring = world.open_local().await;
    ring.tick().await;
    assert!(ring.is_warm());
    assert_eq!(ring.active(&acme).await.unwrap().id.version, 2);
    let damaged = DataKeyId {
        bucket: bucket(&acme),
        version: 4,
    };
    assert_eq!(reason(ring.get(damaged).await), Some(Reason::RecordCorrupt));
}

/// Another process rotates: seen within a minute, or at once when the store says so.
#[tokio::test]
async fn what_was_retired_seals_no_more_and_opens_on() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.open_local().await;
    ring.tick().await;
    let old = ring.active(&acme).await.unwrap();
    let retire = async |version| {
        let mut row = world
            .store
            .data_key(DataKeyId { version, ..old.id })
            .await
            .unwrap()
            .unwrap();
        row.active = false;
        world.store.overwrite_data_key(row).await;
    };
    world
        .insert(
            &ring,
            DataKeyId {
                version: 2,
                ..old.id
            },
            true,
        )
        .await;
    retire(1).await;
    assert_eq!(
        ring.active(&acme).await.unwrap().id.version,
        1,
        "the log is not empty"
    );
    assert_eq!(
        ring.renew_active(&acme, old.id).await.unwrap().id.version,
        2
    );
    assert_eq!(ring.active(&acme).await.unwrap().id.version, 2);
    assert!(Arc::ptr_eq(&old, &ring.get(old.id).await.unwrap()));

    world
        .insert(
            &ring,
            DataKeyId {
                version: 3,
                ..old.id
            },
            true,
        )
        .await;
    retire(2).await;
    world.pass(&ring, 61 * SECOND, SECOND).await;
    assert_eq!(ring.active(&acme).await.unwrap().id.version, 3);
    // None is left: the next one is made.
    let v3 = DataKeyId {
        version: 3,
        ..old.id
    };
    retire(3).await;
    assert_eq!(ring.renew_active(&acme, v3).await.unwrap().id.version, 4);
    retire(4).await;
    world.pass(&ring, 61 * SECOND, SECOND).await;
    assert_eq!(ring.active(&acme).await.unwrap().id.version, 5);
}

/// Planted while it serves: refused at the next unwrapping, for its bucket alone, and accepted again as soon as the row is repaired.
#[tokio::test]
async fn swapped_and_foreign_data_keys_are_refused_at_the_next_unwrapping() {
    let world = World::new().await;
    let ring = world.warm().await;
    let (acme, globex, other) = (workspace("acme"), workspace("globex"), Scope::Platform);
    let a = world.store.data_key(id_of(&acme)).await.unwrap().unwrap();
    let b = world.store.data_key(id_of(&globex)).await.unwrap().unwrap();
    world
        .store
        .overwrite_data_key(DataKeyRow {
            wrapped: b.wrapped.clone(),
            ..a.clone()
        })
        .await;
    let foreign = world.fake.add_key("alias/stranger");
    world
        .store
        .overwrite_data_key(DataKeyRow {
            kms_key_arn: foreign.clone(),
            ..b.clone()
        })
        .await;
    world.pass(&ring, 11 * MINUTE + SECOND, SECOND).await;
    for scope in [&acme, &globex] {
        assert_eq!(
            reason(ring.active(scope).await),
            Some(Reason::RecordCorrupt)
        );
        assert_eq!(
            reason(ring.get(id_of(scope)).await),
            Some(Reason::RecordCorrupt)
        );
        assert_eq!(
            reason(ring.renew_active(scope, id_of(scope)).await),
            Some(Reason::RecordCorrupt)
        );
    }
    for scope in of_each_bucket() {
        if ![bucket(&acme), bucket(&globex)].contains(&bucket(&scope)) {
            ring.active(&scope).await.unwrap();
        }
    }
    assert!(
        world.fake.calls().iter().all(|call| call.key_id != foreign),
        "no call for a stranger's key"
    );
    // Callers of what is damaged are not calls to the KMS.
    world.fake.forget_calls();
    for _ in 0..100 {
        assert_eq!(
            reason(ring.get(id_of(&acme)).await),
            Some(Reason::RecordCorrupt)
        );
    }
    assert_eq!(world.fake.calls().len(), 0);
    ring.active(&other).await.unwrap();
    for row in [a, b] {
        world.store.overwrite_data_key(row).await;
    }
    ring.active(&acme).await.unwrap();
    ring.get(id_of(&globex)).await.unwrap();
}

#[tokio::test]
async fn data_keys_under_a_strangers_kms_key_refuse_the_start_by_name() {
    let world = World::new().await;
    world
        .open_local()
        .await
        .active(&workspace("acme"))
        .await
        .unwrap();
    let arn = world.store.data_keys().await.unwrap().remove(0).kms_key_arn;
    let kms = world.kms(&[]).await;
    let error = Keyring::open(Arc::clone(&world.store), kms, world.clock.clone())
        .await
        .unwrap_err();
    assert!(
        error.message().contains(&arn) && error.message().contains("kms.previous_keys"),
        "{error}"
    );
}

/// All of them damaged is another KMS key's doing; one of them is not.
#[tokio::test]
async fn a_kms_key_that_unwraps_none_refuses_the_start() {
    let world = World::new().await;
    world.warm().await;
    let rows = world.store.data_keys().await.unwrap();
    for row in rows.iter().skip(1) {
        world
            .store
            .overwrite_data_key(DataKeyRow {
                wrapped: vec![1],
                ..row.clone()
            })
            .await;
    }
    world.open().await;
    world
        .store
        .overwrite_data_key(DataKeyRow {
            wrapped: vec![1],
            ..rows[0].clone()
        })
        .await;
    let kms = world.kms(&[]).await;
    let error = Keyring::open(Arc::clone(&world.store), kms, world.clock.clone())
        .await
        .unwrap_err();
    assert!(error.message().contains("unwraps none"), "{error}");
}

/// A rewrapped row is the same data key.
#[tokio::test]
async fn a_row_that_was_rewrapped_is_used_on() {
    let (world, acme) = (World::new().await, workspace("acme"));
    let ring = world.warm().await;
    let before = ring.active(&acme).await.unwrap();
    let new = world.fake.add_key(ALIAS);
    world.pass(&ring, 61 * SECOND, SECOND).await;
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
    world.pass(&ring, 12 * MINUTE, SECOND).await;
    world.fake.set_state(&world.arn, "Disabled");
    world.pass(&ring, 12 * MINUTE, 10 * SECOND).await;
    let after = ring.active(&acme).await.unwrap();
    assert_eq!(before.fingerprint(b"same"), after.fingerprint(b"same"));
    assert!(ring.is_warm());
    assert!(
        world
            .fake
            .calls()
            .iter()
            .rev()
            .take(256)
            .all(|call| call.key_id == new || call.key_id == ALIAS)
    );
}

/// A change that waits for its turn holds a data key that a refresh may unwrap meanwhile from another blob.
#[tokio::test]
async fn what_seals_is_what_is_held_and_not_what_was() {
    let world = World::new().await;
    let ring = world.warm().await;
    let before = ring.active(&workspace("acme")).await.unwrap();
    let row = ring.held.row(before.id).unwrap();
    assert!(ring.is_current(&before, &row.wrapped));
    assert!(!ring.is_current(&before, b"another blob"));
    world.pass(&ring, 12 * MINUTE, Duration::from_secs(1)).await;
    let after = ring.active(&workspace("acme")).await.unwrap();
    assert!(!ring.is_current(&before, &row.wrapped));
    assert!(ring.is_current(&after, &row.wrapped));
}
