//! The modules of `src` and the paths that each one names, read from the text.
//!
//! Not here: full Rust. Paths that start with `crate`, `super`, `self` or a child module are read; methods are not.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::rust_sources;

/// A module path below the crate: `["store", "connection"]`.
pub(super) type Path = Vec<String>;

pub(super) struct Module {
    pub(super) path: Path,
    pub(super) file: String,
    /// The text without comments, strings and tests.
    pub(super) code: String,
    /// Items that this file defines.
    pub(super) defines: BTreeSet<String>,
    /// Names that this file re-exports or imports, with their absolute paths.
    pub(super) imports: BTreeMap<String, Path>,
    /// Absolute paths that this file names.
    pub(super) names: BTreeSet<Path>,
}

/// The modules of `src` that are not tests.
pub(super) fn modules() -> Vec<Module> {
    let sources = rust_sources(&["src"]);
    let texts: Vec<(Path, String, String)> = sources
        .into_iter()
        .filter(|source| source.path != "src/main.rs")
        .map(|source| (module_path(&source.path), source.path, clean(&source.text)))
        .collect();
    let mut tests = BTreeSet::new();
    for (path, _, text) in &texts {
        for (at, _) in text.match_indices("#[cfg(test)]\nmod ") {
            let name: String = identifier(&text[at + "#[cfg(test)]\nmod ".len()..]);
            tests.insert([path.as_slice(), &[name]].concat());
        }
    }
    let is_test = |path: &Path| tests.iter().any(|test| path.starts_with(test));
    let known: BTreeSet<Path> = texts.iter().map(|(path, ..)| path.clone()).collect();
    texts
        .into_iter()
        .filter(|(path, ..)| !is_test(path))
        .map(|(path, file, text)| read(path, file, &text, &known))
        .collect()
}

fn module_path(file: &str) -> Path {
    let inner = file.strip_prefix("src/").unwrap();
    let inner = inner.strip_suffix(".rs").unwrap();
    if inner == "lib" {
        Path::new()
    } else {
        inner.split('/').map(str::to_owned).collect()
    }
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Blanks comments and the contents of strings.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(end) = raw_string(rest) {
            end
        } else if c == '"' {
            string(rest)
        } else if c == '\'' && rest.len() > 2 && is_char(rest) {
            rest[1..].find('\'').map_or(1, |end| end + 2)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skip..];
    }
    out
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let inner = hashes.trim_start_matches('#');
    let marks = hashes.len() - inner.len();
    inner.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let start = 1 + marks + 1;
    text[start..].find(&end).map(|at| start + at + end.len())
}

/// A character literal and no lifetime.
fn is_char(text: &str) -> bool {
    let mut inner = text.chars().skip(1);
    matches!(
        (inner.next(), inner.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

fn read(path: Path, file: String, text: &str, known: &BTreeSet<Path>) -> Module {
    let code = without_tests(text);
    let (mut imports, mut names) = (BTreeMap::new(), BTreeSet::new());
    let mut outside = String::new();
    let mut rest = code.as_str();
    while let Some(at) = find_use(rest) {
        outside.push_str(&rest[..at]);
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end + 1);
        let tree: String = rest[at + 4..end - 1]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        expand(&tree, &[], &mut |segments| {
            if let Some((absolute, alias)) = absolute(&path, segments, known) {
                imports.insert(alias, absolute.clone());
                names.insert(absolute);
            }
        });
        rest = &rest[end..];
    }
    outside.push_str(rest);
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in outside.match_indices(start) {
            let before = outside[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let written: String = outside[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            let segments: Vec<String> = written.split("::").map(str::to_owned).collect();
            names.extend(absolute(&path, &segments, known).map(|(path, _)| path));
        }
    }
    let defines = code.lines().filter_map(defined).collect();
    Module {
        path,
        file,
        code,
        defines,
        imports,
        names,
    }
}

fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]\n") {
        code.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match (item.find(";\n"), item.find("{\n")) {
            (Some(semicolon), brace) if brace.is_none_or(|brace| semicolon < brace) => {
                semicolon + 2
            }
            _ => item.find("\n}\n").map_or(item.len(), |end| end + 3),
        };
        rest = &item[end..];
    }
    code + rest
}

/// The next `use` at the start of an item.
fn find_use(text: &str) -> Option<usize> {
    text.match_indices("use ")
        .find(|(at, _)| {
            let line = text[..*at].rsplit('\n').next().unwrap_or_default().trim();
            line.is_empty() || line.starts_with("pub") && !line.contains(' ')
        })
        .map(|(at, _)| at)
}

/// Calls `found` with the segments of each path in a use tree.
fn expand(tree: &str, prefix: &[String], found: &mut impl FnMut(&[String])) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let mut segments = prefix.to_vec();
        segments.extend(
            head.split("::")
                .map(|segment| segment.trim().to_owned())
                .filter(|segment| !segment.is_empty()),
        );
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inner[start..at], &segments, found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        expand(&inner[start..], &segments, found);
    } else if !tree.is_empty() {
        let mut segments = prefix.to_vec();
        segments.extend(tree.split("::").map(|segment| segment.trim().to_owned()));
        found(&segments);
    }
}

/// The path from the crate's root and the name it gets here; `None` for other crates.
fn absolute(module: &Path, segments: &[String], known: &BTreeSet<Path>) -> Option<(Path, String)> {
    let (last, alias) = match segments.last()?.split_once(" as ") {
        Some((name, alias)) => (name.to_owned(), alias.to_owned()),
        None => (segments.last()?.clone(), segments.last()?.clone()),
    };
    let mut segments = segments.to_vec();
    *segments.last_mut()? = last;
    if segments.last()? == "self" && segments.len() > 1 {
        segments.pop();
    }
    let mut base = module.clone();
    let mut rest = segments.as_slice();
    match rest.first()?.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
        }
        child if known.contains(&[module.as_slice(), &[child.to_owned()]].concat()) => {
            base.push(child.to_owned());
        }
        _ => return None,
    }
    rest = &rest[1..];
    while rest.first().is_some_and(|segment| segment == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().filter(|segment| !segment.is_empty()).cloned());
    Some((base, alias))
}

/// The name that a line at the top level defines.
fn defined(line: &str) -> Option<String> {
    let item = line
        .strip_prefix("pub ")
        .or_else(|| line.strip_prefix("pub(crate) "))
        .or_else(|| line.strip_prefix("pub(super) "))
        .unwrap_or(line);
    let item = item
        .trim_start_matches("async ")
        .trim_start_matches("unsafe ");
    [
        "fn ",
        "struct ",
        "enum ",
        "trait ",
        "type ",
        "static ",
        "const ",
        "macro_rules! ",
    ]
    .iter()
    .find_map(|keyword| item.strip_prefix(keyword))
    .map(|rest| identifier(rest.trim_start_matches("fn ")))
}
