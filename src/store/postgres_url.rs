//! The URL of a PostgreSQL: what it stands for, and why it does not work.
//!
//! Invariant: what is told is one line that says what to mend, and never the password.
//!
//! Absent: connections that work (`postgres`).

use sea_orm::SqlxError;
use sqlx::postgres::PgConnectOptions;

use super::Pooler;
use crate::domain::error::{Error, Reason};

/// The options that the URL of this setting stands for.
pub(super) fn options(setting: &str, url: &str, pooler: Pooler) -> Result<PgConnectOptions, Error> {
    let parsed: PgConnectOptions = url.parse().map_err(|_| {
        // The library's error may quote the URL, and with it the password.
        Error::new(
            Reason::StoreUnavailable,
            format!(
                "{setting} is not a PostgreSQL URL; write postgres://user:password@host:5432/database?\
                 sslmode=verify-full, with special characters of the password percent-encoded"
            ),
        )
    })?;
    let parsed = parsed.application_name("byokd");
    Ok(match pooler {
        Pooler::None => parsed,
        // And no start-up parameter that a pooler would have to know.
        Pooler::Transaction => parsed.statement_cache_capacity(0).extra_float_digits(None),
    })
}

/// The server, as an operator knows it.
pub(super) fn place(options: &PgConnectOptions) -> String {
    format!(
        "PostgreSQL at {}:{}",
        options.get_host(),
        options.get_port()
    )
}

/// Whether a first connection failed for want of a server: nobody is there, or it starts, stops or is full.
pub(super) fn is_away(error: &SqlxError) -> bool {
    match error {
        // TLS, and files that are not there: see `refused`.
        SqlxError::Io(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::NotFound
        ),
        // A balancer without servers behind it closes what it accepted.
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

/// What an operator needs to know of a first connection that failed.
pub(super) fn refused(options: &PgConnectOptions, error: &SqlxError) -> Error {
    let (place, user) = (place(options), options.get_username());
    let database = options.get_database().unwrap_or(user);
    let why = match error {
        // What a certificate lacks comes as an input that is not valid.
        SqlxError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            format!("no TLS with {place}: {error}; check sslmode and sslrootcert of database.url")
        }
        SqlxError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!(
                "a file that database.url names cannot be read: {error}; check sslrootcert, sslcert and sslkey"
            )
        }
        SqlxError::Io(error) => {
            format!("cannot reach {place}: {error}; check host and port of database.url")
        }
        SqlxError::Tls(error) => {
            format!("no TLS with {place}: {error}; check sslmode and sslrootcert of database.url")
        }
        SqlxError::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => {
                format!(
                    "{place} refuses the user {user}: {}; check the password in database.url",
                    error.message()
                )
            }
            Some("3D000") => {
                format!("{place} has no database {database}; create it, or mend database.url")
            }
            _ => format!("{place} refuses the connection: {}", error.message()),
        },
        other => format!("{place} refuses the connection: {other}"),
    };
    Error::new(Reason::StoreUnavailable, why)
}
