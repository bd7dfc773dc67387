//! The files of the repository, as the house rules read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A text file and its path below the repository.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }
}

/// Every text file below these files and folders.
pub(super) fn sources(below: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for path in below {
        collect(&root().join(path), &mut found);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

pub(super) fn rust_sources(below: &[&str]) -> Vec<Source> {
    let mut found = sources(below);
    found.retain(Source::is_rust);
    found
}

fn collect(path: &Path, found: &mut Vec<Source>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let name = entry.as_ref().unwrap().file_name();
            // Python's caches and what a fuzz run leaves behind.
            if !["__pycache__", "corpus", "artifacts", "target"].contains(&name.to_str().unwrap()) {
                collect(&entry.unwrap().path(), found);
            }
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        let path = path.strip_prefix(root()).unwrap();
        found.push(Source {
            path: path.to_str().unwrap().to_owned(),
            text,
        });
    }
}

/// Fails with one line for each offender.
pub(super) fn assert_none(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}: {} offenders\n{}",
        offenders.len(),
        offenders.join("\n")
    );
}
