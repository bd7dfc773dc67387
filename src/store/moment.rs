//! A time as a row has it.
//!
//! Invariants: PostgreSQL keeps times that no calendar has, such as `infinity`, and the library panics on them; here they
//! are a value of the wrong type, like any other.
//!
//! Absent: writing one.

use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable};
use sqlx::Row as _;
use time::{Duration, OffsetDateTime, macros::datetime};

/// What PostgreSQL counts from, in microseconds.
const POSTGRES_EPOCH: OffsetDateTime = datetime!(2000-01-01 0:00 UTC);

/// A point in time that was read.
pub(super) struct Moment(pub(super) OffsetDateTime);

impl TryGetable for Moment {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let Some(postgres) = row.try_as_pg_row() else {
            return OffsetDateTime::try_get_by(row, index).map(Self);
        };
        let passed: Option<i64> = postgres
            .try_get_unchecked(index.as_sqlx_postgres_index())
            .map_err(|error| wrong(&error))?;
        let passed = passed.ok_or_else(|| TryGetError::Null(format!("{index:?}")))?;
        let time = POSTGRES_EPOCH.checked_add(Duration::microseconds(passed));
        time.map(Self)
            .ok_or_else(|| wrong(&format!("{index:?} is a time beyond every calendar")))
    }
}

fn wrong(why: &impl ToString) -> TryGetError {
    DbErr::Type(why.to_string()).into()
}
