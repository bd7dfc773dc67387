//! SQLite, for one machine: one connection that writes, a few that read.
//!
//! Invariants: write-ahead log, so that readers never wait for the writer; `synchronous = FULL`, so that what was
//! acknowledged survives a power cut; `secure_delete`, so that a deleted record is overwritten; one serving process
//! for each file, by an advisory lock beside it that the system drops with the process.
//!
//! A connection whose transaction SQLite itself ended (an I/O error, a full disk) is closed: the library below still counts
//! that transaction, and would make the next one a part of it, which commits nothing and yet says so.
//!
//! Absent: queries. They are the same for every backend.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sqlx::Connection as _;

use super::fault::unavailable;
use crate::domain::error::{Error, Reason};

/// How long a statement waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a change waits for the one writer.
const WRITER_ACQUIRE: Duration = Duration::from_secs(10);
const READER_ACQUIRE: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

/// The file that a URL names.
pub(super) fn path(url: &str) -> Result<PathBuf, Error> {
    let file = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"));
    match file {
        Some(file) if !file.is_empty() && !file.contains('?') && !file.contains(":memory:") => {
            Ok(file.into())
        }
        _ => Err(Error::new(
            Reason::StoreUnavailable,
            "database.url must be sqlite: and the path of a file, e.g. sqlite:./byokd-data/byokd.db",
        )),
    }
}

/// Claims a database for one serving process.
pub(super) fn claim(path: &Path) -> Result<File, Error> {
    let refused = |why: String| Error::new(Reason::StoreUnavailable, why);
    let lock = lock_file(path).map_err(|error| {
        refused(format!(
            "cannot open the database {}: {error}; is its folder there and writable?",
            path.display()
        ))
    })?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(|error| {
            refused(format!(
                "cannot open {}: {error}; is the folder writable?",
                lock.display()
            ))
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(refused(format!(
            "another byokd already serves {}; stop it, or start this one with another --data-dir",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(refused(format!("cannot lock {}: {error}", lock.display())))
        }
    }
}

/// Gives the claim back at once. Closing the file would not: a child process that is being started shares it until it
/// runs its own program.
pub(super) fn unclaim(claim: &File) {
    if let Err(error) = claim.unlock() {
        tracing::warn!(%error, "the database is claimed until this process ends");
    }
}

/// The lock lies beside the file itself, whatever link or way names it; a file that is not there yet has no other name
/// and is made first.
fn lock_file(path: &Path) -> std::io::Result<PathBuf> {
    OpenOptions::new().create(true).append(true).open(path)?;
    let mut lock = path.canonicalize()?.into_os_string();
    lock.push(".serving");
    Ok(PathBuf::from(lock))
}

/// The connection that changes are made on.
pub(super) async fn writer(path: &Path) -> Result<DatabaseConnection, Error> {
    connect(path, 1, WRITER_ACQUIRE, "rwc").await
}

/// The connections that answer reads.
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
                    // A rollback that is on its way is done before this is answered.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        })
        .map_sqlx_sqlite_opts(move |options| {
            // The path is set here and not in the URL, where some of its characters would mean something else.
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
        let why = format!(
            "cannot open the database {}; is it a SQLite file, and its folder writable?",
            path.display()
        );
        Error::new(Reason::StoreUnavailable, why).caused_by(unavailable(error))
    })
}
