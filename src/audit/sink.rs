//! The sink of the stream: a file, or standard output.
//!
//! Invariants: a file holds whole lines only; what a failed write left of one is cut off before the next is written. One
//! process writes a file, by a lock that the system drops with the process. A file is its owner's alone.
//!
//! Not here: what a line is.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _, stdout},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{LONGEST_LINE, chain};
use crate::domain::{
    audit::Mac,
    error::{Error, Reason},
};

/// Where the lines go.
pub(super) enum Sink {
    File {
        path: PathBuf,
        file: File,
        /// How long it should be, if it is longer: a write failed halfway.
        cut_to: Option<u64>,
        end: End,
    },
    Output {
        end: End,
    },
}

/// What stands at the end, before our first line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// The MAC of the last whole line.
    pub(super) last: Option<Mac>,
    /// A line without its end comes after it.
    pub(super) torn: bool,
}

impl Sink {
    /// Opens the file, which is made where there is none; without a path, standard output.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::Output {
                end: End::default(),
            });
        };
        open(path).map_err(|why| {
            let why = format!(
                "the audit file {} {why}; fix that, or name another in audit.file",
                path.display()
            );
            Error::new(Reason::AuditUnavailable, why)
        })
    }

    /// What stands before the next line.
    pub(super) fn end(&self) -> End {
        match self {
            Self::File { end, .. } | Self::Output { end } => *end,
        }
    }

    /// Writes whole lines. After an error none of them is there.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, cut_to, .. } => {
                if let Some(length) = *cut_to {
                    file.set_len(length)?;
                    *cut_to = None;
                }
                let length = file.metadata()?.len();
                if let Err(error) = file.write_all(lines) {
                    *cut_to = file.set_len(length).is_err().then_some(length);
                    return Err(error);
                }
            }
            Self::Output { end } => {
                let written = stdout()
                    .lock()
                    .write_all(lines)
                    .and_then(|()| stdout().lock().flush());
                // How much of it was read cannot be known.
                end.torn = written.is_err();
                written?;
            }
        }
        Ok(())
    }

    /// What was written is on disk when this returns.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.sync_data(),
            Self::Output { .. } => Ok(()),
        }
    }

    /// What was written stays: the next line follows a whole one.
    pub(super) fn settle(&mut self) {
        if let Self::File { end, .. } = self {
            end.torn = false;
        }
    }

    /// Takes back what was written since the file was this long, if it did not come to disk.
    pub(super) fn take_back(&mut self, length: Option<u64>) {
        if let (Self::File { file, cut_to, .. }, Some(length)) = (self, length) {
            *cut_to = file.set_len(length).is_err().then_some(length);
        }
    }

    /// Lets another process write the file, at once. Closing it would not: a child process that is being started shares
    /// it until it runs its own program.
    pub(super) fn release(self) {
        if let Self::File { file, .. } = self
            && let Err(error) = file.unlock()
        {
            tracing::warn!(%error, "the audit file is locked until this process ends");
        }
    }

    /// How long the file is.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::File { file, cut_to, .. } => cut_to.or_else(|| Some(file.metadata().ok()?.len())),
            Self::Output { .. } => None,
        }
    }

    /// Opens the path again if it names another file or none. Returns whether it is another file.
    pub(super) fn reopen(&mut self) -> Result<bool, Error> {
        let Self::File {
            path, file, cut_to, ..
        } = self
        else {
            return Ok(false);
        };
        // What is owed to the old file; a new one is a way out, should this fail again.
        if let Some(length) = *cut_to {
            match file.set_len(length) {
                Ok(()) => *cut_to = None,
                Err(error) => {
                    tracing::warn!(%error, length, "the old audit file ends with lines that are repeated in the next one");
                }
            }
        }
        let identity =
            |file: io::Result<std::fs::Metadata>| file.ok().map(|file| (file.dev(), file.ino()));
        if identity(path.metadata()) == identity(file.metadata()) {
            return Ok(false);
        }
        let fresh = Self::open(Some(path))?;
        *self = fresh;
        Ok(true)
    }
}

fn open(path: &Path) -> Result<Sink, String> {
    let unusable = |error: io::Error| format!("cannot be opened: {error}");
    let fresh = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err("is written by another byokd".to_owned()),
        Err(TryLockError::Error(error)) => return Err(format!("cannot be locked: {error}")),
    }
    if fresh {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(unusable)?;
    }
    let end = end(&mut file).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(Sink::File {
        path: path.to_owned(),
        file,
        cut_to: None,
        end,
    })
}

/// Looks at the end of a file that others wrote.
fn end(file: &mut File) -> io::Result<End> {
    let length = file.metadata()?.len();
    // The last whole line, and one that may be torn.
    let start = length.saturating_sub(LONGEST_LINE.saturating_mul(2));
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(length.saturating_sub(start))
        .read_to_end(&mut tail)?;
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .and_then(|at| tail.split_at_checked(at));
    let (lines, rest) = whole.unwrap_or((&[], &tail));
    let last = lines
        .rsplit(|byte| *byte == b'\n')
        .next()
        .and_then(chain::split)
        .map(|(_, mac)| mac);
    let torn = !rest.strip_prefix(b"\n").unwrap_or(rest).is_empty();
    Ok(End { last, torn })
}
