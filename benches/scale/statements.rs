//! Counts byokd's statements (`pg_stat_statements`).

use sqlx::{PgConnection, Row as _};

use crate::postgres::execute;

/// What byokd's user has run in the database so far, transactions' own words included.
const COUNT: &str = "SELECT query, calls FROM pg_stat_statements \
                     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'scale') \
                     AND userid = (SELECT oid FROM pg_roles WHERE rolname = 'byokd')";

/// Statements since the counters were set to 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statements {
    /// Those that read a workspace.
    pub(crate) reads: i64,
    /// All others.
    pub(crate) others: i64,
}

impl Statements {
    pub(crate) async fn forget(admin: &mut PgConnection) {
        execute(admin, "SELECT pg_stat_statements_reset()").await;
    }

    pub(crate) async fn count(admin: &mut PgConnection) -> Self {
        let mut statements = Self {
            reads: 0,
            others: 0,
        };
        for row in sqlx::query(COUNT).fetch_all(admin).await.unwrap() {
            let (query, calls): (String, i64) = (row.get(0), row.get(1));
            let read = query.starts_with("SELECT")
                && ["holders", "provider_keys", "model_lists"]
                    .iter()
                    .all(|table| query.contains(table));
            *(if read {
                &mut statements.reads
            } else {
                &mut statements.others
            }) += calls;
        }
        statements
    }

    pub(crate) fn all(self) -> i64 {
        self.reads + self.others
    }
}
