//! Files that only their owner may read: the local KMS key and the token signer.
//!
//! Invariants: a file is made whole or not at all, and never in place of another; one that others may read is refused.
//! A file of root's may be for this process's group: so Kubernetes hands a Secret to a pod.
//!
//! Not here: what stands in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use uuid::Uuid;
use zeroize::Zeroizing;

/// No file of ours is longer.
const LONGEST: u64 = 64 * 1024;

/// Reads a file; the error ends a sentence that begins with its name.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !private(metadata.mode(), metadata.uid(), geteuid().as_raw()) {
        return Err(match metadata.uid() == 0 && !geteuid().is_root() {
            true => "may be read by others; a mounted Secret needs defaultMode 0440 and the pod's fsGroup, and any \
                     other file this user as its owner and chmod 600",
            false => "may be read by others; run chmod 600 on it",
        }
        .to_owned());
    }
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LONGEST)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    Ok(content)
}

/// Whether the file is private. A process can read root's file through its group only: a mounted
/// Secret is root's, with mode 0440 and the pod's `fsGroup`. The group may read it then, never change it.
fn private(mode: u32, owner: u32, reader: u32) -> bool {
    let others = if owner == 0 && reader != 0 {
        0o037
    } else {
        0o077
    };
    mode & others == 0
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
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_for_its_owner_or_of_roots_for_the_group() {
        const ROOT: u32 = 0;
        const POD: u32 = 65_532;
        let rows = [
            (0o600, POD, POD, true),
            (0o400, ROOT, ROOT, true),
            (0o640, POD, POD, false),
            (0o604, POD, POD, false),
            // A mounted Secret, as the kubelet makes it for a pod with `fsGroup`; and with its usual mode.
            (0o440, ROOT, POD, true),
            (0o640, ROOT, POD, true),
            (0o644, ROOT, POD, false),
            (0o444, ROOT, POD, false),
            (0o460, ROOT, POD, false),
            (0o440, ROOT, ROOT, false),
            (0o440, POD + 1, POD, false),
        ];
        for (mode, owner, reader, expected) in rows {
            assert_eq!(
                private(mode, owner, reader),
                expected,
                "{mode:o} of {owner}, read by {reader}"
            );
        }
    }
}
