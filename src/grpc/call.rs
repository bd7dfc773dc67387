//! What the transport knows of who calls: the metadata, and whom the connection belongs to.
//!
//! Invariant: a caller's `authorization` leaves with the call; it is in no message and no error.
//!
//! Absent: what any of it means (`identity`).

use std::sync::Arc;

use tonic::{Request, metadata::MetadataMap};

use crate::identity::Certificate;

/// A call without its message.
pub(super) struct Call {
    metadata: MetadataMap,
    certificate: Option<Arc<Certificate>>,
}

impl Call {
    /// Takes a request apart.
    pub(super) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, mut extensions, body) = request.into_parts();
        (Self { metadata, certificate: extensions.remove() }, body)
    }

    /// The `authorization` metadata, if it is there and a text.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.metadata.get("authorization").and_then(|value| value.to_str().ok())
    }

    /// The client's certificate, if the connection has one.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }
}
