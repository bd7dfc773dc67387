//! The URL of a PostgreSQL server, and why a first connection fails.
//!
//! Invariants: an error is one line that says what to fix, without the password.

use std::{fmt::Display, io::ErrorKind, time::Duration};

use sea_orm::SqlxError;
use sqlx::postgres::PgConnectOptions;

use crate::domain::error::Error;
use crate::store::{db_error::open_failed, settings::PoolerMode};

/// How long the first connection of a start may take.
pub(super) const FIRST: Duration = Duration::from_secs(15);

/// Parses the URL of a setting.
pub(super) fn options(
    setting: &str,
    url: &str,
    pooler: PoolerMode,
) -> Result<PgConnectOptions, Error> {
    // The library's error may quote the URL with its password.
    let parsed: PgConnectOptions = url.parse().map_err(|_| {
        open_failed(format!(
            "{setting} is not a PostgreSQL URL; write postgres://user:password@host:5432/database?\
             sslmode=verify-full, with special characters of the password percent-encoded"
        ))
    })?;
    let parsed = parsed.application_name("byokd");
    Ok(match pooler {
        PoolerMode::None => parsed,
        // Without a start-up parameter, which poolers reject.
        PoolerMode::Transaction => parsed.statement_cache_capacity(0).extra_float_digits(None),
    })
}

/// The server in messages.
pub(super) fn place(options: &PgConnectOptions) -> String {
    format!(
        "PostgreSQL at {}:{}",
        options.get_host(),
        options.get_port()
    )
}

/// The server did not answer the first connection.
pub(super) fn does_not_answer(options: &PgConnectOptions) -> Error {
    open_failed(format!(
        "{} does not answer within {FIRST:?}; check host and port of database.url, and the firewall",
        place(options)
    ))
}

/// Whether a first connection failed because no server is reachable, or it starts, stops or is full.
pub(super) fn is_unreachable(error: &SqlxError) -> bool {
    match error {
        // Invalid data: TLS failed. Not found: a certificate file is missing. See `refused`.
        SqlxError::Io(error) => {
            !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound)
        }
        // A load balancer without servers accepts connections and closes them.
        SqlxError::Protocol(_) => true,
        SqlxError::Database(error) => {
            matches!(
                error.code().as_deref(),
                Some("57P01" | "57P02" | "57P03" | "53300")
            )
        }
        _ => false,
    }
}

/// The first connection failed; says what to fix.
pub(super) fn refused(options: &PgConnectOptions, error: &SqlxError) -> Error {
    let (place, user) = (place(options), options.get_username());
    let database = options.get_database().unwrap_or(user);
    let no_tls = |error: &dyn Display| {
        format!("no TLS with {place}: {error}; check sslmode and sslrootcert of database.url")
    };
    let why = match error {
        // rustls reports a bad certificate as invalid data.
        SqlxError::Io(error) if error.kind() == ErrorKind::InvalidData => no_tls(&error),
        SqlxError::Io(error) if error.kind() == ErrorKind::NotFound => {
            format!(
                "a file that database.url names cannot be read: {error}; check sslrootcert, sslcert and sslkey"
            )
        }
        SqlxError::Io(error) => {
            format!("cannot reach {place}: {error}; check host and port of database.url")
        }
        SqlxError::Tls(error) => no_tls(&error),
        SqlxError::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => {
                format!(
                    "{place} refuses the user {user}: {}; check the password in database.url",
                    error.message()
                )
            }
            Some("3D000") => {
                format!("{place} has no database {database}; create it, or fix database.url")
            }
            _ => format!("{place} refuses the connection: {}", error.message()),
        },
        other => format!("{place} refuses the connection: {other}"),
    };
    open_failed(why)
}
