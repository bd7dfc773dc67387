//! What the transport knows of who calls: the metadata, and whom the connection belongs to.
//!
//! Invariant: a caller's `authorization` leaves with the call; it is in no message and no error.
//!
//! Absent: what any of it means (`identity`).

use tonic::{Request, metadata::MetadataMap};

/// A call without its message.
pub(super) struct Call {
    metadata: MetadataMap,
}

impl Call {
    /// Takes a request apart.
    pub(super) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, _, body) = request.into_parts();
        (Self { metadata }, body)
    }

    /// The `authorization` metadata, if it is there and a text.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.metadata.get("authorization").and_then(|value| value.to_str().ok())
    }
}
