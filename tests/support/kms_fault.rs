//! Faults of a KMS, as AWS documents them. moto itself has none: it even serves disabled keys.

use std::time::Duration;

use axum::{body::Body, http::Response};
use serde_json::{Value, json};

use super::Reply;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KmsFault {
    Pass,
    /// The connection is closed without an answer.
    Dead,
    /// No answer, ever.
    Hang,
    /// The answer, delayed.
    Slow(Duration),
    Throttle,
    Internal,
    /// The key is disabled: `DescribeKey` reports it, everything else fails.
    Disabled,
    /// The key is about to be deleted: `DescribeKey` reports it, everything else fails.
    PendingDeletion,
    NotFound,
    Denied,
    /// The blob is of another key; only operations that open blobs fail.
    IncorrectKey,
}

impl KmsFault {
    /// The refusal of this operation, if it is one.
    pub(super) fn refusal(self, operation: &str) -> Option<(u16, &'static str)> {
        let opens = ["Decrypt", "ReEncrypt"].contains(&operation);
        let describes = operation == "DescribeKey";
        match self {
            Self::Throttle => Some((400, "ThrottlingException")),
            Self::Internal => Some((500, "KMSInternalException")),
            Self::Disabled if !describes => Some((400, "DisabledException")),
            Self::PendingDeletion if !describes => Some((400, "KMSInvalidStateException")),
            Self::NotFound => Some((400, "NotFoundException")),
            Self::Denied => Some((400, "AccessDeniedException")),
            Self::IncorrectKey if opens => Some((400, "IncorrectKeyException")),
            _ => None,
        }
    }

    /// Turns moto's answer into that of AWS.
    pub(super) fn correct(self, operation: &str, status: &mut u16, answer: &mut Value) {
        let state = match self {
            Self::Disabled => Some("Disabled"),
            Self::PendingDeletion => Some("PendingDeletion"),
            _ => None,
        };
        if let (Some(state), Some(metadata)) = (state, answer.get_mut("KeyMetadata")) {
            metadata["KeyState"] = state.into();
            metadata["Enabled"] = false.into();
        }
        // moto denies access where AWS answers that the blob is of another key.
        let opens = ["Decrypt", "ReEncrypt"].contains(&operation);
        if opens && *status == 400 && answer["__type"] == "AccessDeniedException" {
            answer["__type"] = "IncorrectKeyException".into();
        }
    }
}

/// An answer in the protocol's own format.
pub(super) async fn answer(status: u16, body: &Value) -> Response<Body> {
    Reply::text(status, body.to_string())
        .header("content-type", "application/x-amz-json-1.1")
        .send()
        .await
}

pub(super) async fn refuse(status: u16, exception: &str) -> Response<Body> {
    answer(
        status,
        &json!({ "__type": exception, "message": format!("{exception}, made by the tests") }),
    )
    .await
}
