//! One entry: what outlives what, and what is read again.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::super::{Shared, slot::Slot};
use crate::{
    domain::{
        clock::Clock,
        error::{Error, Reason},
    },
    store::{OpenMode, Store, StoreSettings},
};

const GRACE: Duration = Duration::from_secs(35);

pub(super) async fn shared() -> (tempfile::TempDir, Arc<Shared>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("byokd.db").display());
    let store = Arc::new(
        Store::open(&StoreSettings::at(&url), OpenMode::Serve)
            .await
            .unwrap(),
    );
    let clock = Clock::manual(time::OffsetDateTime::UNIX_EPOCH);
    (folder, Arc::new(Shared::new(store, clock, GRACE)))
}

/// Every load answers the next number as entry and revision.
fn counting(counter: &Arc<AtomicU64>) -> impl Fn(Arc<Store>) -> Ready<Result<u64, Error>> + use<> {
    let counter = Arc::clone(counter);
    move |_| ready(Ok(counter.fetch_add(1, Ordering::SeqCst)))
}

fn hanging(_: Arc<Store>) -> std::future::Pending<Result<u64, Error>> {
    std::future::pending()
}

#[tokio::test]
async fn a_caller_who_is_gone_does_not_end_a_load_and_others_share_it() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (gated, counted) = (Arc::clone(&gate), Arc::clone(&counter));
    let load = move |_| {
        let (gate, counter) = (Arc::clone(&gated), Arc::clone(&counted));
        async move {
            let _open = gate.acquire().await.unwrap();
            Ok(counter.fetch_add(1, Ordering::SeqCst))
        }
    };
    let gone = slot.renewed(&shared, load, |entry| *entry);
    // Polled, then dropped: the load was started and goes on.
    assert!(tokio::time::timeout(Duration::ZERO, gone).await.is_err());
    gate.add_permits(1);
    let view = slot
        .renewed(&shared, counting(&counter), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, counter.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn a_load_that_hangs_is_cut_off_and_what_is_known_is_served_without_waiting() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
    slot.renewed(&shared, counting(&counter), |entry| *entry)
        .await
        .unwrap();
    shared.clock.advance(Duration::from_secs(6));
    tokio::time::pause();
    // The first one finds out; paused time runs on by itself while everybody waits.
    let view = slot
        .renewed(&shared, hanging, |entry| *entry)
        .await
        .unwrap();
    assert!(view.degraded);
    // From now on no caller waits, whether or not a load runs in the background.
    for pass in [0, 400, 600] {
        shared.clock.advance(Duration::from_millis(pass));
        let before = tokio::time::Instant::now();
        assert!(
            slot.renewed(&shared, hanging, |entry| *entry)
                .await
                .unwrap()
                .degraded
        );
        assert_eq!(tokio::time::Instant::now(), before);
    }
    shared.clock.advance(GRACE);
    let refused = slot
        .renewed(&shared, hanging, |entry| *entry)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::StoreUnavailable);
}

#[tokio::test]
async fn an_entry_that_is_doubted_while_it_is_loaded_is_loaded_again() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::<AtomicU64>::default());
    let (doubted, counted) = (Arc::clone(&slot), Arc::clone(&counter));
    let load = move |_| {
        let entry = counted.fetch_add(1, Ordering::SeqCst);
        if entry == 0 {
            doubted.suspect();
        }
        ready(Ok(entry))
    };
    let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
    assert_eq!((*view.entry, view.degraded), (1, false));
    slot.suspect();
    assert!(slot.fresh(&shared).is_none());
    let view = slot
        .renewed(&shared, counting(&counter), |entry| *entry)
        .await
        .unwrap();
    assert_eq!(*view.entry, 2);
}

pub(super) type Answer = Ready<Result<u64, Error>>;

/// Every load runs `answer` with the number of the load, from 0 on.
pub(super) fn answering<A: Fn(u64) -> Result<u64, Error>>(
    counter: &Arc<AtomicU64>,
    answer: A,
) -> impl Fn(Arc<Store>) -> Answer + use<A> {
    let counter = Arc::clone(counter);
    move |_| ready(answer(counter.fetch_add(1, Ordering::SeqCst)))
}

pub(super) fn outage() -> Error {
    Error::new(Reason::StoreUnavailable, "away")
}

/// What a slot holds that loaded `revision`.
pub(super) async fn holding(shared: &Arc<Shared>, revision: u64) -> Arc<Slot<u64>> {
    let slot = Arc::<Slot<u64>>::default();
    let view = slot
        .renewed(shared, move |_| ready(Ok(revision)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!(*view.entry, revision);
    slot
}

#[tokio::test]
async fn a_load_that_ends_in_another_epoch_than_it_began_in_is_repeated() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::default());
    let ground = Arc::clone(&shared);
    let load = answering(&counter, move |load| {
        if load == 0 {
            ground.epochs.next_epoch();
            ground.epochs.polled(ground.clock.elapsed());
        }
        Ok(load)
    });
    assert_eq!(
        *slot
            .renewed(&shared, load, |entry| *entry)
            .await
            .unwrap()
            .entry,
        1
    );
}

#[tokio::test]
async fn a_database_that_never_settles_is_an_outage_and_no_endless_loop() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 7).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    let ground = Arc::clone(&shared);
    let load = answering(&counter, move |_| {
        ground.epochs.next_epoch();
        Ok(8)
    });
    let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
    assert_eq!(
        (*view.entry, view.degraded, counter.load(Ordering::SeqCst)),
        (7, true, 3)
    );
}

#[tokio::test]
async fn after_a_load_that_failed_the_database_is_left_alone_for_a_while() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::default());
    for (pass, loads) in [(0, 1), (0, 1), (499, 1), (1, 2), (499, 2), (1, 3)] {
        shared.clock.advance(Duration::from_millis(pass));
        let load = answering(&counter, |_| Err(outage()));
        let refused = slot
            .renewed(&shared, load, |entry| *entry)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.reason(), counter.load(Ordering::SeqCst)),
            (Reason::StoreUnavailable, loads),
            "{pass}"
        );
    }
}

#[tokio::test]
async fn a_failure_of_long_ago_degrades_nothing() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 1).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    let load = answering(&counter, |_| Err(outage()));
    assert!(
        slot.renewed(&shared, load, |entry| *entry)
            .await
            .unwrap()
            .degraded
    );
    shared.clock.advance(Duration::from_secs(6));
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(1)), |entry| *entry)
        .await
        .unwrap();
    assert!(!view.degraded);
}

#[tokio::test]
async fn damage_is_no_outage_and_no_poll_vouches_for_what_was_there_before() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 1).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    for _ in 0..2 {
        let load = answering(&counter, |_| {
            Err(Error::new(Reason::RecordCorrupt, "damaged"))
        });
        let refused = slot
            .renewed(&shared, load, |entry| *entry)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::RecordCorrupt);
        shared.epochs.polled(shared.clock.elapsed());
        assert!(slot.fresh(&shared).is_none());
        shared.clock.advance(Duration::from_secs(1));
    }
}
