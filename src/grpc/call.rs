//! The metadata of a call, and the client certificate of its connection.
//!
//! Invariants: a caller's `authorization` leaves with the call; it is in no message and no error. One that cannot be read
//! is never taken for none: a certificate beside it may hold more than the token did.
//!
//! Not here: what any of it means (`identity`).

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};
use tonic::Request;

use crate::identity::Certificate;

/// A call without its message.
pub(super) struct Call {
    headers: HeaderMap,
    certificate: Option<Arc<Certificate>>,
}

impl Call {
    /// Takes a request apart.
    pub(super) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, mut extensions, body) = request.into_parts();
        (
            Self {
                headers: metadata.into_headers(),
                certificate: extensions.remove(),
            },
            body,
        )
    }

    /// The `authorization` metadata, if there is any. What is not one text comes as an empty one, which `identity`
    /// refuses.
    pub(super) fn authorization(&self) -> Option<&str> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => None,
            (Some(only), None) => Some(only.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Some(""),
        }
    }

    /// The client's certificate, if the connection has one.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }
}
