//! Configurations and data that byokd refuses to start with, each with exit code 1 and a sentence with the
//! remedy; and the end by a signal.

mod aws_kms;
mod configuration;
mod kms_key_file;

use std::{fs, net::TcpListener, process::Command};

use byokd::domain::caller::Role;
use sea_orm::ConnectionTrait as _;

use crate::support::{Site, ask, new_key, openai_key, rows::number};

/// A site whose database has a record, and no running byokd.
async fn with_a_record() -> Site {
    let site = Site::new().await;
    let mut process = site.start().await;
    let mut keys = process.keys(Role::Admin).await;
    keys.set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    process.terminate();
    process.ended().await;
    site
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

async fn execute(site: &Site, sql: &str) {
    let database = site.database().await;
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_refused_with_its_address() {
    let site = Site::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (setting, other) in [
        ("--listen", "--admin-listen"),
        ("--admin-listen", "--listen"),
    ] {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_byokd"));
        serve
            .args([
                "serve",
                setting,
                &address,
                other,
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(site.data())
            .current_dir(site.path(""));
        let said = site.refused(serve).await;
        says(
            &said,
            &[
                &format!("cannot listen on {address}"),
                "something else listens there",
            ],
        );
        assert!(!site.data().join("server").exists());
    }
}

#[tokio::test]
async fn a_database_that_needs_a_newer_binary_is_refused() {
    let site = with_a_record().await;
    execute(
        &site,
        "UPDATE deployment SET schema_level = 99, oldest_binary_level = 99",
    )
    .await;
    let said = site.refused(site.serve()).await;
    says(
        &said,
        &["too old", "schema level 99", "start a newer byokd"],
    );
}

#[tokio::test]
async fn a_newer_compatible_database_is_served_unchanged() {
    let site = with_a_record().await;
    execute(
        &site,
        "UPDATE deployment SET schema_level = 99, oldest_binary_level = 1;
         ALTER TABLE holders ADD COLUMN of_a_newer_byokd TEXT;
         INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0099_newer', 1)",
    )
    .await;
    let process = site.start().await;
    let mut keys = process.keys(Role::Admin).await;
    let set = keys
        .set_key(new_key("acme", "openai", &openai_key(2)))
        .await
        .unwrap();
    assert_eq!(set.into_inner().key.unwrap().generation, 2);
    let database = site.database().await;
    assert_eq!(
        number(
            &database,
            "SELECT CAST(schema_level AS BIGINT) FROM deployment"
        )
        .await,
        99
    );
    assert_eq!(
        number(&database, "SELECT count(*) FROM seaql_migrations").await,
        4
    );
}

/// All or nothing: a failed first migration leaves nothing that would stop the next one.
#[tokio::test]
async fn a_migration_that_failed_halfway_left_nothing() {
    let site = Site::with_an_empty_database().await;
    execute(&site, "CREATE TABLE request_results (in_the_way TEXT)").await;
    site.refused(site.serve()).await;
    execute(&site, "DROP TABLE request_results").await;
    site.start().await;
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_created_is_refused_by_name() {
    let site = Site::new().await;
    fs::write(site.path("file"), "").unwrap();
    for folder in [site.path("file"), site.path("file/below")] {
        let mut serve = site.serve();
        serve.env("BYOKD__SERVER__DATA_DIR", &folder);
        says(
            &site.refused(serve).await,
            &[&folder.display().to_string(), "--data-dir"],
        );
    }
}

/// The files of a start that was killed at its worst moment do not stop the next one.
#[tokio::test]
async fn leftovers_of_a_killed_start_are_no_obstacle() {
    let site = Site::new().await;
    fs::create_dir(site.data()).unwrap();
    for name in ["kms.new", "token-signer.new", "server.new", "server"] {
        fs::write(site.data().join(name), "half").unwrap();
    }
    let process = site.start().await;
    let mut keys = process.keys(Role::Admin).await;
    keys.set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_signer_that_is_no_key_is_refused_and_left_alone() {
    let site = with_a_record().await;
    let file = site.data().join("token-signer");
    for garbage in ["", "not a key"] {
        fs::write(&file, garbage).unwrap();
        says(
            &site.refused(site.serve()).await,
            &["token-signer", "is not an Ed25519 key"],
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), garbage);
    }
}

#[tokio::test]
async fn sigterm_exits_with_0_and_removes_the_address_file() {
    let site = Site::new().await;
    let mut process = site.start().await;
    let mut keys = process.keys(Role::Admin).await;
    keys.set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    assert!(site.data().join("server").exists());
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.said());
    assert!(!site.data().join("server").exists());
    assert!(
        keys.resolve_credentials(ask("acme", "", "", ""))
            .await
            .is_err()
    );
}
