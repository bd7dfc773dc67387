//! Plain English: the words and phrases that the prose of this repository avoids.

use super::sources::{assert_none, rust_sources, sources};

/// Spelled in two parts, so that this file does not hold them.
const BANNED: [(&str, &str); 11] = [
    ("to", "ld"),
    ("te", "ll"),
    ("te", "lls"),
    ("an", "ew"),
    ("me", "nd"),
    ("me", "nds"),
    ("me", "nded"),
    ("who", "ever"),
    ("whom", "ever"),
    ("no", "body"),
    ("some", "body"),
];

/// Quotations: a file, and the text around the word. A picture quotes the functions of the build that it shows.
const QUOTED: [(&str, &str); 1] = [("docs/hot-path.svg", "")];

const PROSE: [&str; 9] = [
    "src",
    "proto",
    "docs",
    "tests",
    "helm",
    "fuzz",
    "benches",
    "README.md",
    "CONTRIBUTING.md",
];

#[test]
fn no_file_has_a_banned_word() {
    let banned: Vec<String> = BANNED
        .iter()
        .map(|(start, end)| format!("{start}{end}"))
        .collect();
    let mut offenders = Vec::new();
    for source in sources(&PROSE) {
        for (number, line) in source.text.lines().enumerate() {
            let quoted = QUOTED
                .iter()
                .any(|(path, text)| source.path == *path && line.contains(text));
            let lower = line.to_lowercase();
            let found = lower
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| banned.iter().any(|banned| banned == word));
            if found && !quoted {
                offenders.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("banned words", &offenders);
}

/// "What byokd keeps" names no thing; "The records that byokd keeps" does.
#[test]
fn no_module_header_begins_with_a_relative_clause() {
    let mut offenders = Vec::new();
    for source in rust_sources(&["src", "tests", "benches", "fuzz"]) {
        let first = source.text.lines().next().unwrap_or_default();
        let clause = ["What ", "Who ", "Whose ", "Where ", "How "]
            .iter()
            .any(|word| {
                first
                    .strip_prefix("//! ")
                    .is_some_and(|text| text.starts_with(word))
            });
        if clause {
            offenders.push(format!("{}: {first}", source.path));
        }
    }
    assert_none("headers that name no thing", &offenders);
}
