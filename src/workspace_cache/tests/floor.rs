//! One entry and the revisions that it has seen: never backwards in one history, and not held to them in the next one.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    super::slot::Slot,
    slot::{answering, holding, outage, shared},
};
use crate::domain::error::Reason;

#[tokio::test]
async fn a_load_that_began_before_a_change_and_ends_after_it_is_not_served() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 1).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    let (changed, ground) = (Arc::clone(&slot), Arc::clone(&shared));
    let load = answering(&counter, move |load| {
        if load == 0 {
            changed.logged(&ground, 2);
            return Ok(1);
        }
        Ok(2)
    });
    let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
    assert_eq!((*view.entry, counter.load(Ordering::SeqCst)), (2, 2));
}

/// It would set a floor that the database never reaches again.
#[tokio::test]
async fn a_load_of_an_earlier_history_leaves_no_trace_in_the_next_one() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 9).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    let ground = Arc::clone(&shared);
    let load = answering(&counter, move |load| {
        if load == 0 {
            ground.epochs.next_history();
            return Ok(10);
        }
        Ok(5)
    });
    let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
    assert_eq!((*view.entry, view.degraded), (5, false));
}

#[tokio::test]
async fn what_is_older_than_a_change_is_served_by_nobody_and_what_is_not_stays() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 3).await, Arc::default());
    let history = shared.epochs.now().history;
    slot.committed(&shared, 3, history);
    assert_eq!(*slot.fresh(&shared).unwrap().entry, 3);
    slot.committed(&shared, 5, history);
    assert!(slot.fresh(&shared).is_none());
    // Not even as degraded: it is known to be outdated.
    let refused = slot
        .renewed(&shared, answering(&counter, |_| Ok(4)), |entry| *entry)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.reason(), counter.load(Ordering::SeqCst)),
        (Reason::StoreUnavailable, 3)
    );
    shared.clock.advance(Duration::from_millis(500));
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(5)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, view.degraded), (5, false));
}

/// A commit that was made before the database was restored, and is reported after that was seen.
#[tokio::test]
async fn a_change_of_an_earlier_history_sets_no_floor_and_is_looked_into() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 3).await, Arc::default());
    let before = shared.epochs.now().history;
    shared.epochs.next_history();
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(2)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!(*view.entry, 2);
    slot.committed(&shared, 10, before);
    assert!(slot.fresh(&shared).is_none());
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(2)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, view.degraded), (2, false));
}

#[tokio::test]
async fn a_load_that_may_have_missed_a_change_of_an_earlier_history_is_repeated() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (Arc::<Slot<u64>>::default(), Arc::default());
    let before = shared.epochs.now().history;
    shared.epochs.next_history();
    let (changed, ground) = (Arc::clone(&slot), Arc::clone(&shared));
    let load = answering(&counter, move |load| {
        if load == 0 {
            changed.committed(&ground, 10, before);
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

/// The change in the new history has the lower revision, and the older entry the higher one.
#[tokio::test]
async fn a_change_of_the_new_history_ends_an_entry_of_the_old_one_whatever_their_numbers() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 10).await, Arc::default());
    shared.epochs.next_history();
    slot.logged(&shared, 6);
    let load = answering(&counter, |_| Err(outage()));
    assert!(slot.renewed(&shared, load, |entry| *entry).await.is_err());
}

#[tokio::test]
async fn what_a_load_showed_is_not_given_up_for_something_older_though_no_log_told_of_it() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 5).await, Arc::default());
    shared.clock.advance(Duration::from_secs(6));
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(4)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, view.degraded), (5, true));
}

/// Others may have changed it meanwhile: the number alone says nothing.
#[tokio::test]
async fn an_entry_whose_commit_the_log_never_tells_of_is_read_again_whatever_its_revision() {
    let (_folder, shared) = shared().await;
    for revision in [3, 4, 5] {
        let (slot, counter) = (holding(&shared, 4).await, Arc::default());
        slot.committed(&shared, 4, shared.epochs.now().history);
        shared.epochs.polled(shared.clock.elapsed());
        assert!(
            slot.fresh(&shared).is_some(),
            "a poll of the same moment may have been before it"
        );
        shared.clock.advance(Duration::from_millis(1));
        shared.epochs.polled(shared.clock.elapsed());
        assert!(slot.fresh(&shared).is_none());
        let load = answering(&counter, move |_| Ok(revision));
        let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
        assert_eq!(
            (*view.entry, view.degraded, slot.fresh(&shared).is_some()),
            (revision, false, true)
        );
        // Once: the next poll finds nothing amiss.
        shared.clock.advance(Duration::from_millis(1));
        shared.epochs.polled(shared.clock.elapsed());
        assert!(slot.fresh(&shared).is_some());
    }
}

/// Restored to before a commit of this process that no poll had seen: the log continues what was polled.
#[tokio::test]
async fn a_commit_that_the_log_never_tells_of_is_another_history() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 3).await, Arc::default());
    shared.clock.advance(Duration::from_secs(1));
    slot.committed(&shared, 4, shared.epochs.now().history);
    let older = || answering(&counter, |_| Ok(3));
    for poll in [None, Some(shared.clock.elapsed())] {
        if let Some(began) = poll {
            shared.epochs.polled(began);
        }
        assert!(
            slot.renewed(&shared, older(), |entry| *entry)
                .await
                .is_err()
        );
        shared.clock.advance(Duration::from_secs(1));
    }
    shared.epochs.polled(shared.clock.elapsed());
    let view = slot
        .renewed(&shared, older(), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, view.degraded), (3, false));
}

#[tokio::test]
async fn a_commit_that_the_log_told_of_is_never_given_up_whichever_came_first() {
    for log_first in [true, false] {
        let (_folder, shared) = shared().await;
        let (slot, counter) = (holding(&shared, 3).await, Arc::default());
        if log_first {
            slot.logged(&shared, 4);
        }
        slot.committed(&shared, 4, shared.epochs.now().history);
        if !log_first {
            slot.logged(&shared, 4);
        }
        shared.clock.advance(Duration::from_secs(1));
        shared.epochs.polled(shared.clock.elapsed());
        let load = answering(&counter, |_| Ok(3));
        assert!(
            slot.renewed(&shared, load, |entry| *entry).await.is_err(),
            "{log_first}"
        );
    }
}

/// Nor does a poll of the new history vouch for it.
#[tokio::test]
async fn an_entry_of_an_earlier_history_is_served_for_its_own_grace_and_no_longer() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 3).await, Arc::default());
    shared.clock.advance(Duration::from_secs(30));
    shared.epochs.next_history();
    shared.epochs.polled(shared.clock.elapsed());
    let load = answering(&counter, |_| Err(outage()));
    let view = slot.renewed(&shared, load, |entry| *entry).await.unwrap();
    assert_eq!((view.degraded, view.validated_at), (true, Duration::ZERO));
}

/// The poll began before the other change, and a load that saw it ended before the poll.
#[tokio::test]
async fn a_commit_that_the_log_told_of_is_not_missed_because_a_load_saw_a_later_one() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 3).await, Arc::default());
    let history = shared.epochs.now().history;
    slot.committed(&shared, 4, history);
    slot.renewed(&shared, answering(&counter, |_| Ok(5)), |entry| *entry)
        .await
        .unwrap();
    shared.clock.advance(Duration::from_millis(1));
    slot.logged(&shared, 4);
    shared.epochs.polled(shared.clock.elapsed());
    assert!(slot.fresh(&shared).is_some());
    assert_eq!(shared.epochs.now().history, history);
}

#[tokio::test]
async fn what_the_log_told_of_in_an_earlier_history_does_not_stand_for_a_commit_in_this_one() {
    let (_folder, shared) = shared().await;
    let (slot, counter) = (holding(&shared, 9).await, Arc::default());
    slot.logged(&shared, 9);
    shared.epochs.next_history();
    slot.committed(&shared, 4, shared.epochs.now().history);
    shared.clock.advance(Duration::from_millis(1));
    shared.epochs.polled(shared.clock.elapsed());
    let view = slot
        .renewed(&shared, answering(&counter, |_| Ok(3)), |entry| *entry)
        .await
        .unwrap();
    assert_eq!((*view.entry, view.degraded), (3, false));
}
