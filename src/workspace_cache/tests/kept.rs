//! More workspaces than are kept.

use super::{KEPT, World, acme};
use crate::domain::names::WorkspaceId;

#[tokio::test]
async fn no_more_workspaces_are_kept_than_was_said_and_all_are_answered() {
    let world = World::new().await;
    world.toggle(true).await;
    world.poll().await;
    for round in 0..2 {
        for number in 0..4 * KEPT {
            let id = WorkspaceId::parse(&format!("ws-{number}")).unwrap();
            let view = world.cache.workspace(&id).await.unwrap();
            assert_eq!((&view.entry.id, view.entry.exists), (&id, false));
            assert!(world.cache.entries() <= KEPT, "{}", world.cache.entries());
        }
        assert!(
            world.cache.entries() > KEPT / 2,
            "round {round}: {}",
            world.cache.entries()
        );
    }
    // Long pushed out, and read again.
    let view = world.cache.workspace(&acme()).await.unwrap();
    assert!(view.entry.byo_enabled);
}
