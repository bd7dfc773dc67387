//! The buckets of the workspaces: each bucket has one active data key.

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::names::Scope;

/// The number of buckets.
pub const BUCKETS: u16 = 256;

/// The bucket of a holder: the first byte of a SHA-256, so that it never changes.
pub(super) fn bucket(scope: &Scope) -> u16 {
    let text = format!("{}:{}", scope.kind(), scope.workspace_id());
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .first()
        .copied()
        .map_or(0, u16::from)
}
