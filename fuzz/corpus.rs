//! Replays every input of `fuzz/corpus` on its target.

use std::{fs, path::Path};

/// Runs `target` on each file of its corpus.
fn replay(corpus: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(corpus);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        // Shown if the target panics.
        println!("{}", path.display());
        target(&input);
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn audit_line() {
    replay("audit_line", super::audit_line::run);
}

#[test]
fn base_url() {
    replay("base_url", |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            super::base_url::run(text);
        }
    });
}

#[test]
fn envelope() {
    replay("envelope", super::envelope::run);
}

#[test]
fn provider_answer() {
    replay("provider_answer", super::provider_answer::run);
}

#[test]
fn request() {
    replay("request", super::request::run);
}

#[test]
fn token() {
    replay("token", super::token::run);
}
