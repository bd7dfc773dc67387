//! Imports point one way, and each library is known to few rooms.

use std::collections::BTreeSet;

use super::sources::rust_sources;

/// The room of a source file: the first part of its path below `src`.
fn room(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap();
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The rooms that a file imports, without its tests.
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

/// The allowed imports of a room. A room that is not listed fails the test.
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
        "change" => &[
            "change",
            "audit",
            "workspace_cache",
            "keyring",
            "store",
            "domain",
        ],
        "view" => &["view", "domain"],
        "key_check" => &[
            "key_check",
            "change",
            "view",
            "provider",
            "telemetry",
            "domain",
        ],
        "rewrap" => &["rewrap", "keyring", "store", "domain"],
        "app_state" => &[
            "change",
            "key_check",
            "view",
            "audit",
            "workspace_cache",
            "keyring",
            "store",
            "domain",
        ],
        "ops" => &[
            "ops",
            "app_state",
            "change",
            "key_check",
            "view",
            "audit",
            "store",
            "domain",
        ],
        "grpc" => &[
            "grpc",
            "app_state",
            "ops",
            "change",
            "key_check",
            "view",
            "identity",
            "contract",
            "telemetry",
            "domain",
        ],
        "admin" | "private_file" | "process" => &[],
        "client" => &["client", "identity", "contract", "domain"],
        "server" => &[
            "admin",
            "app_state",
            "audit",
            "change",
            "config",
            "contract",
            "workspace_cache",
            "domain",
            "egress",
            "grpc",
            "identity",
            "key_check",
            "keyring",
            "kms",
            "provider",
            "rewrap",
            "store",
            "telemetry",
            "transport",
        ],
        "demo" => &["demo", "client", "config", "contract", "domain"],
        "cli" => &[
            "cli",
            "client",
            "demo",
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
        other => panic!("src/{other} is a new room: list its imports here"),
    }
}

/// The rooms that may name a library.
const LIBRARIES: [(&str, &[&str]); 19] = [
    ("aws_config", &["kms"]),
    ("aws_credential_types", &["kms"]),
    ("aws_sdk_kms", &["kms"]),
    ("sea_orm", &["store"]),
    ("sqlx", &["store"]),
    ("reqwest", &["egress", "identity", "provider"]),
    ("tonic", &["grpc", "server", "admin", "client", "contract"]),
    ("prost_reflect", &["contract"]),
    ("axum", &["admin", "demo"]),
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
    for source in rust_sources(&["src"]) {
        let room = room(&source.path);
        for imported in imports(&source.text) {
            assert!(
                may_import(room).contains(&imported.as_str()),
                "{} imports crate::{imported}, which {room} may not",
                source.path
            );
        }
        for (library, rooms) in LIBRARIES {
            let code: String = source
                .text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            let named =
                code.contains(&format!("{library}::")) || code.contains(&format!("use {library}"));
            assert!(
                !named || rooms.contains(&room),
                "{} names {library}",
                source.path
            );
        }
    }
}

#[test]
fn only_one_folder_knows_the_sdk_of_aws() {
    for source in rust_sources(&["src"]) {
        if !source.path.starts_with("src/kms/aws") {
            assert!(
                !source.text.contains("aws_sdk_") && !source.text.contains("aws_config"),
                "{}",
                source.path
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
