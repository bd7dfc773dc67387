//! Conversion of database failures into byokd's errors.
//!
//! Invariants:
//! - A database that fails is `STORE_UNAVAILABLE`. Its own text stays in the cause, for the log.
//! - A row that cannot be read is `RECORD_CORRUPT` for its holder alone.
//!
//! Not here: retries. The caller has the deadline.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};

use crate::domain::error::{Error, Reason};

const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let wrong_type = match &error {
            DbErr::Type(_)
            | DbErr::Json(_)
            | DbErr::TryIntoErr { .. }
            | DbErr::ConvertFromU64(_) => true,
            // The row arrived, but one of its values does not have its column's type.
            DbErr::Query(RuntimeErr::SqlxError(error)) => matches!(
                &**error,
                SqlxError::ColumnDecode { .. } | SqlxError::Decode(_)
            ),
            _ => false,
        };
        if wrong_type {
            return corrupt("a row has a value of the wrong type").caused_by(error);
        }
        if matches!(
            error.sql_err(),
            Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))
        ) {
            // A retry does not help: the code and the schema disagree.
            return Error::internal(error);
        }
        unavailable("the database is not available; try again").caused_by(error)
    }
}

/// A step took longer than its limit.
pub(super) fn timed_out(step: &str, limit: Duration) -> DbErr {
    let cause = format!("{step} took longer than {limit:?}");
    DbErr::Conn(RuntimeErr::Internal(cause))
}

/// The server is a standby: its rows may be older than the freshness bound allows.
pub(super) fn standby() -> Error {
    unavailable(
        "the database is a standby, which may lag behind; try again once its primary is back",
    )
}

/// A row holds a value that byokd never writes.
pub(super) fn corrupt(cause: &'static str) -> Error {
    Error::new(
        Reason::RecordCorrupt,
        "a stored record is damaged; the operator must fix its row, or delete it so that it can be set again",
    )
    .caused_by(cause)
}

/// The database cannot be opened; `message` says what the operator must fix.
pub(super) fn open_failed(message: impl Into<String>) -> Error {
    Error::new(Reason::StoreUnavailable, message)
}

fn unavailable(message: &str) -> Error {
    Error::new(Reason::StoreUnavailable, message).retry_after(RETRY_AFTER)
}

/// Whether a statement failed because the server accepts no changes: a standby, or the old primary after a failover.
pub(super) fn is_read_only(error: &DbErr) -> bool {
    sqlstate(error).as_deref() == Some("25006")
}

/// The SQLSTATE of an error that the server reported.
pub(super) fn sqlstate(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return None;
    };
    error
        .as_database_error()?
        .code()
        .map(|code| code.into_owned())
}
