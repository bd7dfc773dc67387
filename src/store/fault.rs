//! What the database's failures mean.
//!
//! Invariants: a failure of the database is `STORE_UNAVAILABLE` and its text stays in the cause, for the log; a row
//! that cannot be read is `RECORD_CORRUPT`, for its holder alone.
//!
//! Absent: retries. The caller has the deadline.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};

use crate::domain::error::{Error, Reason};

/// The database failed to do what it was asked.
pub(super) fn unavailable(error: DbErr) -> Error {
    let corrupt = match &error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::ConvertFromU64(_) => {
            true
        }
        // The row came; one of its values is not of its column's type.
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(
                &**error,
                SqlxError::ColumnDecode { .. } | SqlxError::Decode(_)
            )
        }
        _ => false,
    };
    if corrupt {
        return self::corrupt("a row has a value of the wrong type").caused_by(error);
    }
    if matches!(
        error.sql_err(),
        Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))
    ) {
        // No retry helps: the code and the database disagree.
        return Error::internal(error);
    }
    Error::new(
        Reason::StoreUnavailable,
        "the database did not answer as it should; try again",
    )
    .retry_after(Duration::from_secs(1))
    .caused_by(error)
}

/// The database took longer than this may take.
pub(super) fn too_slow(what: &str, limit: Duration) -> Error {
    Error::new(
        Reason::StoreUnavailable,
        "the database did not answer in time; try again",
    )
    .retry_after(Duration::from_secs(1))
    .caused_by(format!("{what} took longer than {limit:?}"))
}

/// A row holds what byokd would never write.
pub(super) fn corrupt(what: &'static str) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        "a stored record is damaged; the operator must mend its row, or delete it so that it can be set again",
    )
    .caused_by(what)
}
