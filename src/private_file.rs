//! Files that only their owner may read: the local KMS key and the token signer.
//!
//! Invariants: a file is made whole or not at all, and never in place of another; one that others may read is refused.
//!
//! Absent: what stands in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;
use zeroize::Zeroizing;

/// No file of ours is longer.
const LONGEST: u64 = 64 * 1024;

/// Reads a file; the error ends a sentence that begins with its name.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err("may be read by others; run chmod 600 on it".to_owned());
    }
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LONGEST).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

/// Makes a file, on disk when this returns. Refuses where one is.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", Uuid::new_v4().simple()));
    let fresh = PathBuf::from(name);
    let made = write(&fresh, content)
        // A hard link fails where the name is taken; a rename would replace what is there.
        .and_then(|()| fs::hard_link(&fresh, path));
    // Whatever became of it, no copy stays behind.
    fs::remove_file(&fresh)?;
    made?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
