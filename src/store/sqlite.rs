//! SQLite, for one machine: one connection for changes, a few for reads.
//!
//! Invariants:
//! - Write-ahead log: reads never wait for the writer.
//! - `synchronous = FULL`: an acknowledged change survives a power cut.
//! - `secure_delete`: SQLite overwrites deleted records.
//! - One serving process for each file, by an advisory lock on a file beside it. The system drops the lock with the
//!   process.
//! - A connection whose transaction SQLite itself ended (an I/O error, a full disk) is closed. sqlx would still count
//!   that transaction and open the next one inside it, whose commit would then commit nothing.
//!
//! Not here: statements, which are the same for every engine.

use std::{
    fmt::Display,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sqlx::Connection as _;

use super::db_error::open_failed;
use crate::domain::error::Error;

/// How long a statement waits for the write lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a change waits for the writer connection.
const WRITER_ACQUIRE: Duration = Duration::from_secs(10);
const READER_ACQUIRE: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

/// The path in the URL.
pub(super) fn path(url: &str) -> Result<PathBuf, Error> {
    let file = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"));
    match file {
        Some(file) if !file.is_empty() && !file.contains('?') && !file.contains(":memory:") => {
            Ok(file.into())
        }
        _ => Err(open_failed(
            "database.url must be sqlite: and the path of a file, e.g. sqlite:./byokd-data/byokd.db",
        )),
    }
}

/// Claims a database for one serving process.
pub(super) fn claim(path: &Path) -> Result<File, Error> {
    let failed = |what: &str, error: &dyn Display| {
        let path = path.display();
        open_failed(format!(
            "cannot {what} of the database {path}: {error}; is its folder there and writable?"
        ))
    };
    let lock = lock_file(path).map_err(|error| failed("open the file", &error))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(|error| failed("open the lock file", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(open_failed(format!(
            "another byokd already serves {}; stop it, or start this one with another --data-dir",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed("lock the file", &error)),
    }
}

/// Releases the claim at once. Closing the file would not, because a child process shares it between `fork` and `exec`.
pub(super) fn unclaim(claim: &File) {
    if let Err(error) = claim.unlock() {
        tracing::warn!(%error, "the claim on the database was not released; it ends with this process");
    }
}

/// The path of the lock, beside the database file. Links are resolved first, so that all names of a database share one
/// lock; for that, the database file is created if it is absent.
fn lock_file(path: &Path) -> std::io::Result<PathBuf> {
    OpenOptions::new().create(true).append(true).open(path)?;
    let mut lock = path.canonicalize()?.into_os_string();
    lock.push(".serving");
    Ok(PathBuf::from(lock))
}

/// Opens the connection for changes.
pub(super) async fn writer(path: &Path) -> Result<DatabaseConnection, Error> {
    connect(path, 1, WRITER_ACQUIRE, "rwc").await
}

/// Opens the connections for reads.
pub(super) async fn readers(path: &Path) -> Result<DatabaseConnection, Error> {
    connect(path, READERS, READER_ACQUIRE, "ro").await
}

async fn connect(
    path: &Path,
    connections: u32,
    acquire: Duration,
    mode: &str,
) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(format!("sqlite:byokd.db?mode={mode}"));
    let (write, file) = (mode == "rwc", path.to_owned());
    options
        .max_connections(connections)
        .acquire_timeout(acquire)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| {
                Box::pin(async move {
                    // The ping is answered after a rollback in progress.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        })
        .map_sqlx_sqlite_opts(move |options| {
            // Not in the URL, where some characters of a path have another meaning.
            let options = options
                .filename(&file)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true);
            if !write {
                return options;
            }
            options
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("secure_delete", "ON")
        });
    Database::connect(options).await.map_err(|error| {
        open_failed(format!(
            "cannot open the database {}; is it a SQLite file, and its folder writable?",
            path.display()
        ))
        .caused_by(error)
    })
}
