//! Tests of `slot`.

use super::*;
use crate::domain::workspace::{StoredKey, Workspace};

/// There may be a million of each.
#[test]
fn an_entry_takes_little_room() {
    assert_eq!(
        (
            size_of::<Slot<Workspace>>(),
            size_of::<Workspace>(),
            size_of::<StoredKey>()
        ),
        (128, 128, 256)
    );
}
