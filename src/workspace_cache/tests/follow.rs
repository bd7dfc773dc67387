//! The log, followed: what another process changes, what is kept without asking, and polls that fail.

use super::{
    super::follow::{Followed, Looked},
    MILLISECOND, OFF, ON, SECOND, Seen, World, acme,
};
use crate::{domain::error::Reason, store::LogPage};

#[tokio::test]
async fn what_another_process_changes_is_seen_after_the_next_poll() {
    let world = World::new().await;
    for on in [true, false, true] {
        world.toggle(on).await;
        assert_eq!(world.seen().await.byo, !on, "in memory until then");
        world.poll().await;
        assert_eq!(
            world.seen().await,
            Seen {
                byo: on,
                degraded: false
            }
        );
    }
}

/// What readiness and the metrics ask.
#[tokio::test]
async fn the_lag_counts_from_the_last_good_look() {
    let world = World::new().await;
    world.clock.advance(SECOND);
    assert_eq!(world.cache.freshness_lag(), Some(SECOND));
    world.poll().await;
    assert_eq!(world.cache.freshness_lag(), Some(std::time::Duration::ZERO));
    world.sql("ALTER TABLE change_log RENAME TO away").await;
    world.clock.advance(3 * SECOND);
    assert!(world.cache.poll().await.is_err());
    assert_eq!(world.cache.freshness_lag(), Some(3 * SECOND));
    assert_eq!(
        (world.cache.entries(), world.cache.grace()),
        (1, 35 * SECOND)
    );
    let fresh = world.started_again();
    assert_eq!(fresh.cache.freshness_lag(), None);
}

#[tokio::test]
async fn a_workspace_never_seen_and_the_platform_are_entries_like_others() {
    let world = World::new().await;
    world
        .sql("DELETE FROM holders; DELETE FROM change_log")
        .await;
    let world = world.started_again();
    // The log is empty when the place in it is taken.
    world.poll().await;
    assert_eq!(
        world.cache.workspace(&acme()).await.unwrap().entry.revision,
        0
    );
    assert_eq!(world.cache.platform().await.unwrap().entry.revision, 0);
    world.toggle(true).await;
    world
        .sql(
            "INSERT INTO holders SELECT 'platform', '', present, byo_enabled, 5, selections, generations, updated_at \
             FROM holders; \
             INSERT INTO change_log (change_id, scope, workspace_id, revision, at) \
             SELECT randomblob(16), 'platform', '', 5, at FROM change_log",
        )
        .await;
    assert_eq!(
        world.cache.workspace(&acme()).await.unwrap().entry.revision,
        0
    );
    assert_eq!(world.cache.platform().await.unwrap().entry.revision, 0);
    world.poll().await;
    assert_eq!(
        world.cache.workspace(&acme()).await.unwrap().entry.revision,
        1
    );
    assert_eq!(world.cache.platform().await.unwrap().entry.revision, 5);
}

#[tokio::test]
async fn more_changes_than_one_look_shows_are_taken_in_by_one_poll() {
    let world = World::new().await;
    world
        .sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
             INSERT INTO change_log (change_id, scope, workspace_id, revision, at) \
             SELECT randomblob(16), 'workspace', 'other-' || i, 1, '1970-01-01' FROM n",
        )
        .await;
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
}

/// Those who read before the place in the log was taken may have missed what lies just before it.
#[tokio::test]
async fn what_was_read_before_the_place_in_the_log_was_taken_is_read_again() {
    let world = World::new().await;
    let world = world.started_again();
    assert_eq!(world.seen().await, OFF);
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
}

#[tokio::test]
async fn polls_keep_an_entry_fresh_but_however_hot_it_expires_after_ten_minutes() {
    let world = World::new().await;
    world.edit(true).await;
    for _ in 0..120 {
        world.pass(5 * SECOND);
        assert_eq!(world.seen().await, OFF, "at {:?}", world.clock.elapsed());
        world.poll().await;
    }
    assert_eq!(
        (world.seen().await, world.clock.elapsed()),
        (OFF, 600 * SECOND)
    );
    world.pass(MILLISECOND);
    assert_eq!(world.seen().await, ON);
}

#[tokio::test]
async fn after_a_pause_nothing_is_served_without_asking() {
    let world = World::new().await;
    world.edit(true).await;
    world.pass(5 * SECOND);
    assert_eq!(world.seen().await, OFF);
    world.pass(MILLISECOND);
    assert_eq!(world.seen().await, ON);
    // A poll that began before the pause says nothing of what happened in it.
    let (began, mut followed) = (world.clock.elapsed(), Followed::default());
    let page = world.page("", "").await;
    world.cache.take_in(&mut followed, began, page);
    assert_eq!(world.seen().await, ON);
    world.edit(false).await;
    world.pass(6 * SECOND);
    let page = world.page("", "").await;
    assert_eq!(
        world.cache.take_in(&mut followed, began, page),
        Looked::Done
    );
    assert_eq!(world.seen().await, OFF);
}

#[tokio::test]
async fn after_a_failed_poll_everything_is_read_again() {
    let world = World::new().await;
    world.edit(true).await;
    assert_eq!(world.seen().await, OFF);
    world.failed_poll().await;
    assert_eq!(world.seen().await, ON);
    world.edit(false).await;
    assert_eq!(world.seen().await, ON, "once");
    // And what was committed meanwhile is not skipped: the place in the log is kept.
    world.toggle(true).await;
    world.edit(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
}

#[tokio::test]
async fn while_polls_and_loads_fail_what_is_known_is_served_until_35_s_from_the_last_good_poll() {
    let world = World::new().await;
    for _ in 0..5 {
        world.pass(4 * SECOND);
        world.poll().await;
    }
    world.away("holders").await;
    world.pass(SECOND);
    for _ in 0..68 {
        world.failed_poll().await;
        let view = world.cache.workspace(&acme()).await.unwrap();
        // Leases shrink, since they count from here.
        assert_eq!((view.degraded, view.validated_at), (true, 20 * SECOND));
        world.pass(500 * MILLISECOND);
    }
    assert_eq!(world.clock.elapsed(), 55 * SECOND);
    assert!(world.seen().await.degraded);
    world.pass(MILLISECOND);
    assert_eq!(world.refused().await, Reason::StoreUnavailable);
    // A good poll of another epoch says nothing of what was read before.
    world.poll().await;
    assert_eq!(world.refused().await, Reason::StoreUnavailable);
    world.back("holders").await;
    world.pass(500 * MILLISECOND);
    assert_eq!(world.seen().await, OFF);
}

/// The log is read, the holders are not: no poll vouches for longer than the load may count.
#[tokio::test]
async fn good_polls_alone_do_not_keep_an_entry_for_ever() {
    let world = World::new().await;
    world.away("holders").await;
    for _ in 0..120 {
        world.pass(5 * SECOND);
        world.poll().await;
    }
    assert_eq!(world.seen().await, OFF);
    world.pass(35 * SECOND);
    world.poll().await;
    assert!(world.seen().await.degraded);
    world.pass(MILLISECOND);
    world.poll().await;
    assert_eq!(world.refused().await, Reason::StoreUnavailable);
}

#[tokio::test]
async fn polls_that_flap_read_everything_again_each_time_and_keep_the_grace_of_each_entry() {
    let world = World::new().await;
    for round in 0..20 {
        let on = round % 2 == 0;
        world.edit(on).await;
        world.failed_poll().await;
        assert_eq!(
            world.seen().await,
            Seen {
                byo: on,
                degraded: false
            }
        );
        world.pass(250 * MILLISECOND);
        world.poll().await;
        world.edit(!on).await;
        assert_eq!(
            world.seen().await,
            Seen {
                byo: on,
                degraded: false
            }
        );
        world.pass(250 * MILLISECOND);
    }
    let last = world.clock.elapsed() - 250 * MILLISECOND;
    world.away("holders").await;
    for _ in 0..99 {
        world.failed_poll().await;
        world.poll().await;
    }
    assert_eq!(
        world.cache.workspace(&acme()).await.unwrap().validated_at,
        last
    );
    // Of too many epochs ago only the load itself is known.
    world.failed_poll().await;
    world.poll().await;
    let view = world.cache.workspace(&acme()).await.unwrap();
    assert_eq!(
        (view.degraded, view.validated_at),
        (true, last - 250 * MILLISECOND)
    );
}

#[tokio::test]
async fn a_look_that_is_not_at_the_end_of_the_log_vouches_for_nothing() {
    let world = World::new().await;
    let mut followed = Followed::default();
    let page = world.page("", "").await;
    world
        .cache
        .take_in(&mut followed, world.clock.elapsed(), page);
    assert_eq!(world.seen().await, OFF);
    world.edit(true).await;
    world.pass(6 * SECOND);
    let page = LogPage {
        more: true,
        ..world.page("", "").await
    };
    assert_eq!(
        world
            .cache
            .take_in(&mut followed, world.clock.elapsed(), page),
        Looked::More
    );
    assert_eq!(world.seen().await, ON);
}

/// The loop itself, on real time.
#[tokio::test]
async fn following_goes_on_through_an_outage_of_the_log() {
    let world = World::new().await;
    let following = async {
        world.cache.follow().await;
    };
    let story = async {
        world.toggle(true).await;
        world.shows(true).await;
        world.away("change_log").await;
        world.edit(false).await;
        world.shows(false).await;
        world.back("change_log").await;
        world.toggle(true).await;
        world.edit(true).await;
        world.shows(true).await;
    };
    tokio::select! {
        () = following => unreachable!(),
        () = story => {}
    }
}
