//! `change_log`: the changes of all workspaces and the platform, for replicas that follow them.
//!
//! Invariants:
//! - Commit order is sequence order, because each change takes one lock last (`append`). A replica that has read a
//!   sequence has therefore seen everything before it.
//! - A place in the log is a sequence and the random id at that sequence. The same sequence with another id belongs to
//!   another history of the database.
//! - One statement reads the changes and the identity of the server that returns them.
//!
//! Not here: what a replica does with the changes (`workspace_cache`).

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseBackend, DeleteMany, EntityTrait, QueryFilter,
    QueryResult, Statement,
    sea_query::{Expr, ExprTrait, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{error::Error, names::Scope};
use crate::store::{
    db_error::{sqlstate, standby},
    entities::change_log::{ActiveModel, Column, Entity},
    values::{self, bigint, count, scope_columns},
};

/// The number of changes on a page.
const PAGE: i64 = 1000;

/// A place in the change log. The default is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPlace {
    sequence: i64,
    change_id: Option<Uuid>,
}

/// A page of the change log.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The place of the last change; read on from here.
    pub end: LogPlace,
    /// The changed holders and their new revisions, in commit order.
    pub changes: Vec<(Scope, u64)>,
    /// Whether there are more changes.
    pub more: bool,
    /// Whether the place that was read from is missing: the log is of another history of the database.
    pub broken: bool,
    /// The server that returned the page.
    pub server: ServerIdentity,
}

/// The identity of a database server and of its current run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerIdentity {
    /// System identifier and timeline; empty where the server does not report them.
    pub history: String,
    /// The start time of the server; empty where the server does not report it.
    pub started: String,
}

/// A page with the server's identity. A standby has no current timeline, so it is not asked for one.
const PAGE_WITH_IDENTITY: &str = "SELECT server.history, server.started, server.standby, \
    log.sequence, log.change_id, log.scope, log.workspace_id, log.revision \
    FROM (SELECT pg_is_in_recovery() AS standby, pg_postmaster_start_time()::text AS started, \
          CASE WHEN pg_is_in_recovery() THEN '' ELSE (SELECT system_identifier FROM pg_control_system())::text \
               || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS history) AS server \
    LEFT JOIN (SELECT * FROM change_log WHERE sequence >= $1 ORDER BY sequence LIMIT $2) AS log ON TRUE \
    ORDER BY log.sequence";

/// A page from SQLite, or from a server that speaks PostgreSQL's protocol but does not report its identity.
const PAGE_WITHOUT_IDENTITY: &str = "SELECT '' AS history, '' AS started, FALSE AS standby, \
    sequence, change_id, scope, workspace_id, revision \
    FROM change_log WHERE sequence >= $1 ORDER BY sequence LIMIT $2";

const END: &str = "SELECT sequence, change_id FROM change_log ORDER BY sequence DESC LIMIT 1";

/// Every change takes this lock last and holds it until the commit, so that commit order is sequence order. PostgreSQL
/// delivers the hint at the commit.
const APPEND_LOCK: &str = "SELECT pg_advisory_xact_lock(7234017283807667315); NOTIFY byokd_changes";

/// Reads the end of the log.
pub(crate) async fn end(connection: &impl ConnectionTrait) -> Result<LogPlace, Error> {
    let statement = Statement::from_string(connection.get_database_backend(), END);
    let row = connection.query_one_raw(statement).await?;
    row.as_ref().map_or(Ok(LogPlace::default()), place)
}

/// Reads the first page after `from`. The first row is the place itself, which proves that the history is the same.
pub(crate) async fn page(
    connection: &impl ConnectionTrait,
    reports_identity: bool,
    from: LogPlace,
) -> Result<LogPage, Error> {
    let sql = match reports_identity {
        true => PAGE_WITH_IDENTITY,
        false => PAGE_WITHOUT_IDENTITY,
    };
    let values = [from.sequence.into(), PAGE.saturating_add(1).into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    read(from, &connection.query_all_raw(statement).await?)
}

fn read(from: LogPlace, rows: &[QueryResult]) -> Result<LogPage, Error> {
    let mut page = LogPage {
        end: from,
        changes: Vec::new(),
        more: i64::try_from(rows.len()).is_ok_and(|count| count > PAGE),
        broken: from.change_id.is_some(),
        server: ServerIdentity::default(),
    };
    for row in rows {
        if row.try_get("", "standby")? {
            return Err(standby());
        }
        page.server = ServerIdentity {
            history: row.try_get("", "history")?,
            started: row.try_get("", "started")?,
        };
        // The row of an empty log has no sequence, only the server's identity.
        if row.try_get::<Option<i64>>("", "sequence")?.is_none() {
            continue;
        }
        let at = place(row)?;
        if at.sequence == from.sequence && from.change_id.is_some() {
            page.broken = at.change_id != from.change_id;
            continue;
        }
        match change(row) {
            Ok(change) => page.changes.push(change),
            // The holder is unknown, so every cached holder must be read again.
            Err(_) => page.broken = true,
        }
        page.end = at;
    }
    Ok(page)
}

fn place(row: &QueryResult) -> Result<LogPlace, Error> {
    Ok(LogPlace {
        sequence: row.try_get("", "sequence")?,
        change_id: Some(row.try_get("", "change_id")?),
    })
}

fn change(row: &QueryResult) -> Result<(Scope, u64), Error> {
    let kind: String = row.try_get("", "scope")?;
    let workspace_id: String = row.try_get("", "workspace_id")?;
    let scope = values::scope(&kind, &workspace_id)?;
    Ok((scope, count(row.try_get("", "revision")?)?))
}

/// Whether the server reports its identity. Not every server that speaks PostgreSQL's protocol does.
pub(crate) async fn reports_identity(connection: &impl ConnectionTrait) -> Result<bool, Error> {
    let statement = Statement::from_sql_and_values(
        connection.get_database_backend(),
        PAGE_WITH_IDENTITY,
        [0.into(), 0.into()],
    );
    let row = match connection.query_one_raw(statement).await {
        Ok(row) => row,
        // Undefined function, insufficient privilege, feature not supported; never a transient failure.
        Err(error)
            if matches!(
                sqlstate(&error).as_deref(),
                Some("42883" | "42501" | "0A000")
            ) =>
        {
            tracing::warn!(
                %error,
                "the database does not report its system identifier and timeline; byokd detects a restore to an \
                 earlier point by the change log alone, and does not recognize a standby"
            );
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    match row.map(|row| row.try_get("", "standby")).transpose()? {
        Some(true) => Err(standby()),
        _ => Ok(true),
    }
}

/// Appends a change. It is the last statement of its transaction.
pub(crate) async fn append(
    connection: &impl ConnectionTrait,
    scope: &Scope,
    revision: u64,
    now: OffsetDateTime,
) -> Result<(), Error> {
    // SQLite has one writer, so it needs no lock.
    if connection.get_database_backend() == DatabaseBackend::Postgres {
        connection.execute_unprepared(APPEND_LOCK).await?;
    }
    let (kind, workspace_id) = scope_columns(scope);
    let row = ActiveModel {
        sequence: NotSet,
        change_id: Set(Uuid::new_v4()),
        scope: Set(kind),
        workspace_id: Set(workspace_id),
        revision: Set(bigint(revision)?),
        at: Set(now),
    };
    Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Deletes changes from before `before`, except the newest of them, which may be the place of a replica.
pub(crate) fn purge(before: OffsetDateTime) -> DeleteMany<Entity> {
    let newest = Query::select()
        .expr(Expr::col(Column::Sequence).max())
        .from(Entity)
        .and_where(Expr::col(Column::At).lt(before))
        .to_owned();
    Entity::delete_many()
        .filter(Column::At.lt(before))
        .filter(Expr::col(Column::Sequence).lt(Expr::SubQuery(None, Box::new(newest.into()))))
}
