//! One name for one thing: no two public types in `src` have the same name.
//!
//! Not here: types that only one room or file sees, such as the arguments of one command.

use std::collections::BTreeMap;

use super::{
    modules::{Module, modules},
    sources::assert_none,
};

/// Names that a library prescribes: sea-orm's entities and migrations, one set in each module.
const PRESCRIBED: [&str; 7] = [
    "ActiveModel",
    "Column",
    "Entity",
    "Migration",
    "Model",
    "PrimaryKey",
    "Relation",
];

#[test]
fn type_names_are_unique() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for module in modules() {
        for name in types(&module) {
            if !PRESCRIBED.contains(&name) {
                places
                    .entry(name.to_owned())
                    .or_default()
                    .push(module.file.clone());
            }
        }
    }
    let offenders: Vec<String> = places
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert_none("type names with two meanings", &offenders);
}

fn types(module: &Module) -> Vec<&str> {
    let mut found = Vec::new();
    for line in module.code.lines() {
        let Some(item) = line.strip_prefix("pub ") else {
            continue;
        };
        for keyword in ["struct ", "enum ", "trait ", "type ", "union "] {
            if let Some(rest) = item.strip_prefix(keyword) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                found.push(&rest[..end.unwrap_or(rest.len())]);
            }
        }
    }
    found
}
