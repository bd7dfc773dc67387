//! A database that is not the one that it was: restored to an earlier point, or another server.

use super::{super::follow::Followed, OFF, ON, SECOND, Seen, World, acme};
use crate::domain::{error::Reason, names::Scope};

#[tokio::test]
async fn after_a_restore_to_an_earlier_point_the_earlier_state_is_served() {
    let world = World::new().await;
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
    world.restore(1, false).await;
    // Until that is noticed, what is known is not given up for something older.
    world.pass(6 * SECOND);
    assert_eq!(
        world.seen().await,
        Seen {
            byo: true,
            degraded: true
        }
    );
    world.poll().await;
    assert_eq!(world.seen().await, OFF);
    // From here on all is as before: what is known is kept in memory, and what happens is seen.
    world.poll().await;
    assert_eq!(world.seen().await, OFF);
    world.poll().await;
    world.edit(true).await;
    assert_eq!(world.seen().await, OFF);
    world.edit(false).await;
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
}

#[tokio::test]
async fn a_restore_is_noticed_though_the_log_has_grown_as_long_as_it_was() {
    let world = World::new().await;
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
    // The same place, the same number, but not the same change.
    world
        .sql(
            "UPDATE change_log SET change_id = randomblob(16) \
             WHERE sequence = (SELECT max(sequence) FROM change_log); \
             UPDATE holders SET revision = 1, byo_enabled = FALSE WHERE workspace_id = 'acme'",
        )
        .await;
    world.poll().await;
    assert_eq!(world.seen().await, OFF);
    world.poll().await;
    assert_eq!(world.seen().await, OFF);
}

#[tokio::test]
async fn a_restore_to_before_the_first_change_is_noticed() {
    let world = World::new().await;
    world.edit(true).await;
    world.sql("DELETE FROM change_log").await;
    for _ in 0..2 {
        world.poll().await;
        assert_eq!(world.seen().await, ON);
    }
}

#[tokio::test]
async fn revisions_seen_count_through_outages_but_not_in_another_history() {
    let world = World::new().await;
    world.toggle(true).await;
    world.poll().await;
    assert_eq!(world.seen().await, ON);
    world
        .sql("UPDATE holders SET revision = 1, byo_enabled = FALSE WHERE workspace_id = 'acme'")
        .await;
    world.failed_poll().await;
    world.poll().await;
    assert_eq!(
        world.seen().await,
        Seen {
            byo: true,
            degraded: true
        }
    );
    world.pass(36 * SECOND);
    assert_eq!(world.refused().await, Reason::StoreUnavailable);
    world
        .sql("UPDATE change_log SET change_id = randomblob(16)")
        .await;
    world.poll().await;
    assert_eq!(world.seen().await, OFF);
}

#[tokio::test]
async fn another_start_of_the_server_ends_the_epoch_and_another_history_all_of_it() {
    let world = World::new().await;
    let mut followed = Followed::default();
    let mut on = false;
    for (history, started, again, new_history) in [
        ("1/1", "monday", true, true),
        ("1/1", "monday", false, false),
        ("1/1", "tuesday", true, false),
        ("1/1", "tuesday", false, false),
        // First it is only noticed; then a place in the other log is taken.
        ("1/2", "tuesday", true, true),
        ("1/2", "tuesday", true, true),
        ("1/2", "tuesday", false, false),
    ] {
        let page = world.page(history, started).await;
        let before = world.cache.shared.epochs.now().history;
        world.edit(!on).await;
        world
            .cache
            .take_in(&mut followed, world.clock.elapsed(), page);
        assert_eq!(world.seen().await.byo, on ^ again, "{history} {started}");
        assert_eq!(
            world.cache.shared.epochs.now().history != before,
            new_history,
            "{history} {started}"
        );
        on ^= again;
        world.edit(on).await;
    }
}

/// The change log will not contain it, and it is not lost.
#[tokio::test]
async fn a_commit_of_ones_own_before_the_place_in_the_log_was_taken_is_not_missed() {
    let world = World::new().await.started_again();
    assert_eq!(world.seen().await, OFF);
    let acme = Scope::Workspace(acme());
    let history = world.cache.committing(&acme);
    world.toggle(true).await;
    world.cache.committed(&acme, 2, history);
    world.pass(SECOND);
    world.poll().await;
    let settled = world.cache.committing(&acme);
    world.pass(SECOND);
    world.poll().await;
    assert_eq!(world.seen().await, ON);
    assert_eq!(world.cache.committing(&acme), settled);
}
