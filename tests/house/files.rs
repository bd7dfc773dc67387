//! The form of the files: length, header, name, one module style.

use std::path::Path;

use super::sources::{assert_none, rust_sources, sources};

const LONGEST: usize = 350;
const README_WORDS: usize = 1200;

#[test]
fn no_file_is_longer_than_350_lines() {
    let mut offenders = Vec::new();
    for source in sources(&["src", "tests", "benches", "fuzz"]) {
        let name = Path::new(&source.path);
        let script = name
            .extension()
            .is_none_or(|extension| ["rs", "py", "sh", "go"].iter().any(|e| extension == *e));
        let lines = source.text.lines().count();
        if script && lines > LONGEST {
            offenders.push(format!("{}: {lines} lines", source.path));
        }
    }
    assert_none("files that are too long", &offenders);
}

#[test]
fn every_module_opens_with_its_duty() {
    let mut offenders = Vec::new();
    for source in rust_sources(&["src", "tests", "benches", "fuzz"]) {
        if !source.text.starts_with("//! ") {
            offenders.push(source.path);
        }
    }
    assert_none("files without a module header", &offenders);
}

#[test]
fn a_module_is_named_for_its_one_thing() {
    let mut offenders = Vec::new();
    for source in rust_sources(&["src", "tests", "benches", "fuzz"]) {
        let name = Path::new(&source.path).file_stem().unwrap();
        let name = name.to_str().unwrap();
        if ["utils", "util", "common", "helpers", "helper", "misc"].contains(&name) {
            offenders.push(format!("{}: a grab-bag", source.path));
        }
        if name == "mod" {
            offenders.push(format!("{}: put it in name.rs beside name/", source.path));
        }
    }
    assert_none("module names", &offenders);
}

#[test]
fn no_file_has_stray_white_space() {
    let mut offenders = Vec::new();
    for source in rust_sources(&["src", "tests", "benches", "fuzz"]) {
        if source.text.contains('\t') || source.text.contains(" \n") {
            offenders.push(source.path);
        }
    }
    assert_none("stray white space", &offenders);
}

#[test]
fn the_readme_is_short() {
    let readme = &sources(&["README.md"])[0].text;
    let words = readme.split_whitespace().count();
    assert!(words <= README_WORDS, "README.md has {words} words");
}
