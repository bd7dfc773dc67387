//! The change log, as a replica follows it.
//!
//! Invariants: commit order is sequence order, since each change takes one lock last (`change`); so whoever has seen a
//! sequence has seen everything before it. A place in the log is a sequence and the random id that stands there: the
//! same number with another id is another history of the database. One statement reads the changes and the server
//! that tells them.
//!
//! Absent: what a replica does about it (`workspace_cache`).

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryResult, Statement,
    sea_query::{Expr, ExprTrait, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, entities::change_log, fault::unavailable, load::standby, postgres};
use crate::domain::{
    error::{Error, Reason},
    names::{Scope, WorkspaceId},
};

/// How many changes one look reads at the most.
const PAGE: i64 = 1000;

/// A place in the change log. The default is its very beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPlace {
    sequence: i64,
    change_id: Option<Uuid>,
}

/// What one look at the log shows.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// Where to look on from.
    pub end: LogPlace,
    /// Who changed to which revision, in commit order.
    pub changes: Vec<(Scope, u64)>,
    /// There are more.
    pub more: bool,
    /// The place that was looked from is not in this log: it is another history of the database.
    pub broken: bool,
    /// Who told this.
    pub server: Server,
}

/// What tells one database server, and one run of it, from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// System identifier and timeline; empty where the database does not tell.
    pub history: String,
    /// When it was started.
    pub started: String,
}

/// The server's own words, beside the rows. A standby is not asked for its place in the log, which it has not.
const POSTGRES: &str = "SELECT server.history, server.started, server.standby, \
    log.sequence, log.change_id, log.scope, log.workspace_id, log.revision \
    FROM (SELECT pg_is_in_recovery() AS standby, pg_postmaster_start_time()::text AS started, \
          CASE WHEN pg_is_in_recovery() THEN '' ELSE (SELECT system_identifier FROM pg_control_system())::text \
               || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS history) AS server \
    LEFT JOIN (SELECT * FROM change_log WHERE sequence >= $1 ORDER BY sequence LIMIT $2) AS log ON TRUE \
    ORDER BY log.sequence";

/// The same from SQLite, and from a database that speaks PostgreSQL's protocol but has no such words.
const ONLY_LOG: &str = "SELECT '' AS history, '' AS started, FALSE AS standby, \
    sequence, change_id, scope, workspace_id, revision \
    FROM change_log WHERE sequence >= $1 ORDER BY sequence LIMIT $2";

const END: &str = "SELECT sequence, change_id FROM change_log ORDER BY sequence DESC LIMIT 1";

impl Store {
    /// The end of the log as it stands.
    pub async fn log_end(&self) -> Result<LogPlace, Error> {
        let statement = Statement::from_string(self.backend(), END);
        match self.log_rows(statement).await?.first() {
            Some(row) => place(row),
            None => Ok(LogPlace::default()),
        }
    }

    /// What was committed after `from`, the first thousand of it.
    pub async fn log_after(&self, from: LogPlace) -> Result<LogPage, Error> {
        let sql = if self.tells_history {
            POSTGRES
        } else {
            ONLY_LOG
        };
        // The row at the place itself is read, too: it proves that the log is still the same.
        let limit = PAGE.saturating_add(1);
        let statement = Statement::from_sql_and_values(
            self.backend(),
            sql,
            [from.sequence.into(), limit.into()],
        );
        let look = async { page(from, &self.log_rows(statement).await?) };
        let page = self.observed("read_change_log", look).await;
        if let Err(error) = &page
            && error.reason() == Reason::StoreUnavailable
        {
            self.renew_connections();
        }
        page
    }

    /// Deletes what was logged before `before`; the newest row stays, so that the log keeps its place.
    pub async fn purge_log(&self, before: OffsetDateTime) -> Result<u64, Error> {
        use change_log::Column;
        // Of those that are that old, too, the newest stays: somebody may stand there.
        let newest = Query::select()
            .expr(Expr::col(Column::Sequence).max())
            .from(change_log::Entity)
            .and_where(Expr::col(Column::At).lt(before))
            .to_owned();
        self.purge(
            change_log::Entity::delete_many()
                .filter(Column::At.lt(before))
                .filter(
                    Expr::col(Column::Sequence).lt(Expr::SubQuery(None, Box::new(newest.into()))),
                ),
        )
        .await
    }
}

/// Whether the server tells its history and when it was started. Not every database that speaks the protocol does.
pub(super) async fn tells_history(connection: &impl ConnectionTrait) -> Result<bool, Error> {
    let statement = Statement::from_sql_and_values(
        connection.get_database_backend(),
        POSTGRES,
        [0.into(), 0.into()],
    );
    let rows = match connection.query_all_raw(statement).await {
        Ok(rows) => rows,
        Err(error) if has_no_such_words(&error) => {
            tracing::warn!(
                %error,
                "the database does not tell its system identifier and timeline; that it was restored to an earlier \
                 point is seen in its change log alone, and a standby is not recognised"
            );
            return Ok(false);
        }
        Err(error) => return Err(unavailable(error)),
    };
    match rows
        .first()
        .map(|row| row.try_get::<bool>("", "standby"))
        .transpose()
        .map_err(unavailable)?
    {
        Some(true) => Err(standby()),
        _ => Ok(true),
    }
}

/// Undefined function, insufficient privilege, feature not supported: what a hiccup is never told as.
fn has_no_such_words(error: &DbErr) -> bool {
    ["42883", "42501", "0A000"].contains(&postgres::code(error).unwrap_or_default().as_str())
}

fn page(from: LogPlace, rows: &[QueryResult]) -> Result<LogPage, Error> {
    let mut page = LogPage {
        end: from,
        changes: Vec::new(),
        more: i64::try_from(rows.len()).is_ok_and(|count| count > PAGE),
        broken: from.change_id.is_some(),
        server: Server::default(),
    };
    for row in rows {
        if row.try_get::<bool>("", "standby").map_err(unavailable)? {
            return Err(standby());
        }
        page.server = Server {
            history: row.try_get("", "history").map_err(unavailable)?,
            started: row.try_get("", "started").map_err(unavailable)?,
        };
        // An empty log has one row without a sequence, which only tells the server.
        let Some(sequence) = row
            .try_get::<Option<i64>>("", "sequence")
            .map_err(unavailable)?
        else {
            continue;
        };
        let at = place(row)?;
        if sequence == from.sequence && from.change_id.is_some() {
            page.broken = at.change_id != from.change_id;
            continue;
        }
        match change(row) {
            Some(change) => page.changes.push(change),
            // Whom it concerns cannot be known, so it concerns everybody.
            None => page.broken = true,
        }
        page.end = at;
    }
    Ok(page)
}

fn place(row: &QueryResult) -> Result<LogPlace, Error> {
    Ok(LogPlace {
        sequence: row.try_get("", "sequence").map_err(unavailable)?,
        change_id: Some(row.try_get("", "change_id").map_err(unavailable)?),
    })
}

fn change(row: &QueryResult) -> Option<(Scope, u64)> {
    let kind: String = row.try_get("", "scope").ok()?;
    let workspace: String = row.try_get("", "workspace_id").ok()?;
    let revision = u64::try_from(row.try_get::<i64>("", "revision").ok()?).ok()?;
    let scope = match kind.as_str() {
        "workspace" => Scope::Workspace(WorkspaceId::parse(&workspace).ok()?),
        "platform" => Scope::Platform,
        _ => return None,
    };
    Some((scope, revision))
}
