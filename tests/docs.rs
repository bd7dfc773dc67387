//! Compares the tables of the documentation with the code.

use std::{fs, path::PathBuf};

use byokd::{config::Config, domain::caller::Role};

fn read(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The section of a page under a heading.
fn section(page: &str, heading: &str) -> String {
    let page = read(page);
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_promise_of_the_readme_names_an_existing_test() {
    let mut rows = 0;
    for line in section("docs/guarantees.md", "Features and their tests")
        .lines()
        .filter(|line| line.contains(" · "))
    {
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let [file, test] = quoted.as_slice() else {
            panic!("{line}")
        };
        assert!(
            read(file).contains(&format!("fn {test}(")),
            "{file} has no test {test}"
        );
        rows += 1;
    }
    assert_eq!(rows, 26);
}

#[test]
fn the_table_of_errors_has_every_reason() {
    let table = section("docs/errors.md", "Reasons");
    let source = read("src/domain/error.rs");
    let reasons: Vec<&str> = source
        .lines()
        .filter_map(|line| line.split(" => \"").nth(1)?.split('"').next())
        .collect();
    assert!(reasons.len() > 30);
    for reason in reasons {
        assert!(table.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn the_table_of_settings_has_every_setting() {
    let table = read("docs/configuration.md");
    let settings: toml::Table =
        toml::from_str(&toml::to_string(&Config::default()).unwrap()).unwrap();
    for (section, keys) in settings {
        assert!(table.contains(&format!("`[{section}]`")), "[{section}]");
        for key in keys.as_table().unwrap().keys() {
            assert!(table.contains(&format!("`{key}`")), "{section}.{key}");
        }
    }
}

#[test]
fn the_table_of_roles_has_every_role() {
    let table = section("docs/access.md", "Roles");
    for role in Role::ALL {
        assert!(table.contains(&format!("| `{}` |", role.as_str())));
    }
}

/// Each row of the threat model names a test that exists.
#[test]
fn every_row_of_the_threat_model_names_an_existing_test() {
    let mut rows = 0;
    for line in read("docs/security.md")
        .lines()
        .filter(|line| line.contains(".rs` `"))
    {
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let [.., file, test] = quoted.as_slice() else {
            panic!("{line}")
        };
        assert!(
            read(file).contains(&format!("fn {test}(")),
            "{file} has no test {test}"
        );
        rows += 1;
    }
    assert!(rows > 25, "{rows}");
}
