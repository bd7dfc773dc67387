//! The errors of records and data keys that do not open.

use crate::domain::{
    envelope::EnvelopeFault,
    error::{Error, Reason},
};

pub(super) fn not_openable(fault: EnvelopeFault) -> Error {
    corrupt("the sealed record does not open").with("fault", fault.to_string())
}

pub(super) fn corrupt(cause: &'static str) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        "the stored key does not open in its place: the record was damaged or moved; set the key again, and inform \
         the operator",
    )
    .caused_by(cause)
}
