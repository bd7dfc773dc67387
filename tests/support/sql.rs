//! SQL that differs between the two dialects: edits by hand, and searches through the whole database.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, QueryResult, Statement};

use super::{rows::number, store::is_postgres};

/// Bytes in hexadecimal digits, as SQL writes them.
pub(crate) fn bytes(hex: &str) -> String {
    if is_postgres() {
        format!("'\\x{hex}'::bytea")
    } else {
        format!("x'{hex}'")
    }
}

/// An id that no row has.
pub(crate) fn random_id() -> &'static str {
    if is_postgres() {
        "gen_random_uuid()"
    } else {
        "randomblob(16)"
    }
}

/// Bytes one after the other.
pub(crate) fn joined(parts: &[&str]) -> String {
    let parts = parts.join(" || ");
    if is_postgres() {
        format!("({parts})")
    } else {
        format!("CAST({parts} AS BLOB)")
    }
}

/// A column of bytes with another byte in this place, counted from 0.
pub(crate) fn flipped(column: &str, at: usize) -> String {
    let (zero, one) = (bytes("00"), bytes("01"));
    let other =
        format!("(CASE WHEN substr({column}, {at} + 1, 1) = {zero} THEN {one} ELSE {zero} END)");
    joined(&[
        &format!("substr({column}, 1, {at})"),
        &other,
        &format!("substr({column}, {at} + 2)"),
    ])
}

/// A column of bytes that begins with other ones, given in hexadecimal digits.
pub(crate) fn begun(column: &str, hex: &str) -> String {
    joined(&[
        &bytes(hex),
        &format!("substr({column}, {} + 1)", hex.len() / 2),
    ])
}

/// A text that is too long for any field.
pub(crate) fn long_text(length: usize) -> String {
    if is_postgres() {
        format!("repeat('0', {length})")
    } else {
        format!("hex(zeroblob({length} / 2))")
    }
}

/// Bytes as a parameter of a search.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of a query without parameters.
pub(crate) async fn all(database: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    database.query_all_raw(statement).await.unwrap()
}

/// Every column of every table.
const COLUMNS_OF_POSTGRES: &str = "SELECT attrelid::regclass::text AS t, quote_ident(attname) AS c \
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace \
     WHERE relkind IN ('r', 'm', 'p') AND attnum > 0 AND NOT attisdropped \
     AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2";
const COLUMNS_OF_SQLITE: &str = "SELECT t.name AS t, '\"' || c.name || '\"' AS c \
     FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2";

/// The columns that hold these bytes: as they are, or as a text of hexadecimal digits.
pub(crate) async fn holding(database: &DatabaseConnection, wanted: &[u8]) -> Vec<String> {
    let postgres = database.get_database_backend() == DbBackend::Postgres;
    let (digits, columns) = (
        hex(wanted),
        if postgres {
            COLUMNS_OF_POSTGRES
        } else {
            COLUMNS_OF_SQLITE
        },
    );
    let mut found = Vec::new();
    for row in all(database, columns).await {
        let (table, column): (String, String) =
            (row.try_get("", "t").unwrap(), row.try_get("", "c").unwrap());
        let there = if postgres {
            // The text of a bytea is its digits; that of any other type is its value.
            let text = format!("{column}::text");
            format!(
                "strpos(lower({text}), '{digits}') > 0 OR \
                 position('\\x{digits}'::bytea IN convert_to({text}, 'UTF8')) > 0"
            )
        } else {
            format!(
                "instr(CAST({column} AS BLOB), x'{digits}') > 0 OR \
                 instr(lower(CAST({column} AS TEXT)), '{digits}') > 0"
            )
        };
        if number(
            database,
            &format!("SELECT count(*) FROM {table} WHERE {there}"),
        )
        .await
            > 0
        {
            found.push(format!("{table}.{}", column.trim_matches('"')));
        }
    }
    found
}

/// The text in a column; NULL is empty.
pub(crate) fn text(row: &QueryResult, column: &str) -> String {
    row.try_get::<Option<String>>("", column)
        .unwrap()
        .unwrap_or_default()
}
