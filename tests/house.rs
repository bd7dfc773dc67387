//! The house rules, checked by reading the sources. The rules for dependencies are in `deny.toml`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The room that a source file belongs to: the first part of its path below `src`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

/// The rooms that a file imports, its tests left out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut found = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            let (mut depth, mut at_start, mut word) = (1, true, String::new());
            for c in list.chars() {
                if depth == 1 && at_start && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                    continue;
                }
                if !word.is_empty() {
                    found.insert(std::mem::take(&mut word));
                    at_start = false;
                }
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => at_start = true,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(
                part.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found
}

/// Who may import whom. A room that is not listed fails the test.
fn may_import(room: &str) -> &'static [&'static str] {
    match room {
        "domain" | "contract" | "lib" => &["domain"],
        "main" => &[],
        "config" => &["config", "domain"],
        "telemetry" => &["config", "telemetry"],
        "kms" => &["kms", "telemetry", "domain", "private_file"],
        "store" => &["store", "telemetry", "domain"],
        "egress" => &["egress"],
        "provider" => &["provider", "egress", "telemetry", "domain"],
        "workspace_cache" => &["store", "telemetry", "domain"],
        "keyring" => &["kms", "store", "domain"],
        "identity" => &["identity", "domain", "private_file"],
        "transport" => &["identity"],
        "audit" => &["store", "domain", "private_file"],
        "ops" => &[
            "ops",
            "audit",
            "workspace_cache",
            "keyring",
            "provider",
            "store",
            "telemetry",
            "domain",
        ],
        "grpc" => &["grpc", "identity", "ops", "contract", "telemetry", "domain"],
        "admin" | "private_file" | "process" => &[],
        "client" => &["client", "identity", "contract", "domain"],
        "server" => &[
            "admin",
            "audit",
            "config",
            "contract",
            "workspace_cache",
            "domain",
            "egress",
            "grpc",
            "identity",
            "keyring",
            "kms",
            "ops",
            "provider",
            "store",
            "telemetry",
            "transport",
        ],
        "cli" => &[
            "cli",
            "client",
            "server",
            "audit",
            "config",
            "contract",
            "identity",
            "process",
            "store",
            "telemetry",
            "domain",
        ],
        other => panic!("src/{other} is a new room: say here what it may import"),
    }
}

/// Which rooms may name a library.
const LIBRARIES: [(&str, &[&str]); 18] = [
    ("aws_config", &["kms"]),
    ("aws_credential_types", &["kms"]),
    ("aws_sdk_kms", &["kms"]),
    ("sea_orm", &["store"]),
    ("sqlx", &["store"]),
    ("reqwest", &["egress", "identity", "provider"]),
    ("tonic", &["grpc", "server", "admin", "client", "contract"]),
    ("axum", &["admin"]),
    ("jsonwebtoken", &["identity"]),
    ("x509_parser", &["identity"]),
    ("rustls", &["transport"]),
    ("tokio_rustls", &["transport"]),
    ("hyper", &["grpc", "transport"]),
    ("clap", &["cli"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("prometheus", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
];

#[test]
fn imports_point_one_way() {
    for path in sources(&root().join("src")) {
        let (room, text) = (room(&path), fs::read_to_string(&path).unwrap());
        for imported in imports(&text) {
            assert!(
                may_import(&room).contains(&imported.as_str()),
                "{} imports crate::{imported}, which {room} may not",
                path.display()
            );
        }
        for (library, rooms) in LIBRARIES {
            let code: String = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            let named =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library}"));
            assert!(
                !named || rooms.contains(&room.as_str()),
                "{} names {library}",
                path.display()
            );
        }
    }
}

#[test]
fn only_one_folder_knows_the_sdk_of_aws() {
    for path in sources(&root().join("src")) {
        let aws = root().join("src/kms/aws");
        if !path.starts_with(&aws) && path != aws.with_extension("rs") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                !text.contains("aws_sdk_") && !text.contains("aws_config"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_import_reader_reads() {
    let text = "use crate::{domain::{a, b::c}, store::Store};\nuse crate::kms::Kms;\nfn f() { crate::ops::x() }\n\
                #[cfg(test)]\nmod tests { use crate::server::Server; }";
    assert_eq!(
        imports(text).into_iter().collect::<Vec<_>>(),
        ["domain", "kms", "ops", "store"]
    );
}

#[test]
fn every_file_says_its_duty_and_is_short_enough_to_read() {
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with its mode",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= 350, "{} has {lines} lines", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["utils", "util", "common", "helpers", "helper", "misc"].contains(&name),
            "{}",
            path.display()
        );
        assert!(
            !text.contains("\t") && !text.contains(" \n"),
            "{} has stray white space",
            path.display()
        );
    }
}
