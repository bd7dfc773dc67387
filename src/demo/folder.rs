//! The data folder of a demo.
//!
//! Invariants: a folder with files and without the demo's marker is never touched; the marker is locked while a demo
//! runs, so that two demos do not share a folder; the folder is emptied at the start and at the end.
//!
//! Not here: the files in it, which the server writes.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::error::DemoError;

/// The file that makes a folder the demo's.
const MARKER: &str = "demo";

/// An empty folder that no other demo uses; it is removed with the value.
#[derive(Debug)]
pub(super) struct DemoFolder {
    path: PathBuf,
    /// Holds the lock.
    _marker: File,
}

impl DemoFolder {
    /// Makes the folder, or empties one that an earlier demo left.
    pub(super) fn claim(path: &Path) -> Result<Self, DemoError> {
        let shown = path.display();
        let failed = |cause: io::Error| {
            DemoError::new(&format!("cannot use the demo folder {shown}"), cause)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let marker = path.join(MARKER);
        if !marker.exists() && fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(DemoError(format!(
                "{shown} holds files that are not a demo's; name another folder with --data-dir"
            )));
        }
        let marker = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(marker)
            .map_err(failed)?;
        marker.try_lock().map_err(|_| {
            DemoError(format!(
                "another demo runs in {shown}; stop it, or name another folder with --data-dir"
            ))
        })?;
        clear(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            _marker: marker,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        let cleared = clear(&self.path).and_then(|()| fs::remove_file(self.path.join(MARKER)));
        if let Err(error) = cleared {
            tracing::warn!(folder = %self.path.display(), %error, "cannot empty the demo folder; remove it");
        }
        // A folder below one that this process may not change stays, empty.
        let _stays = fs::remove_dir(&self.path);
    }
}

/// Removes everything but the marker.
fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != MARKER {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_anything_else_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("byokd.db");
        fs::write(&file, "data").unwrap();
        let error = DemoFolder::claim(folder.path()).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "data");
    }

    #[test]
    fn a_demo_starts_and_ends_with_an_empty_folder_of_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("demo");
        let folder = DemoFolder::claim(&path).unwrap();
        let error = DemoFolder::claim(&path).unwrap_err().to_string();
        assert!(error.contains("another demo"), "{error}");
        fs::write(path.join("byokd.db"), "data").unwrap();
        drop(folder);
        assert!(!path.exists());
        // As a killed demo leaves it.
        fs::create_dir_all(path.join("below")).unwrap();
        fs::write(path.join(MARKER), "").unwrap();
        let folder = DemoFolder::claim(&path).unwrap();
        assert!(!folder.path().join("below").exists());
    }
}
