//! SQLite alone, its file and the files beside it: locks, names, bytes in the log. These tests have their own
//! SQLite, whatever store the others run on, so a run on PostgreSQL skips this module.

use std::{collections::HashSet, os::unix::fs::symlink};

use byokd::{
    contract::v1,
    domain::caller::Role,
    store::{OpenMode, Store, StoreSettings},
};

use crate::{
    store::plaintext::{contains, files},
    support::{Byokd, Site, new_key, openai_key, sql::all, store},
};

/// A byokd on a file in its folder.
async fn start() -> Byokd {
    Byokd::start_with(|config| {
        config.database.url = store::sqlite(config.server.data_dir.parent().unwrap());
    })
    .await
}

#[tokio::test]
async fn a_second_serve_on_the_same_database_is_refused_under_any_of_its_names() {
    let site = Site::on_sqlite().await;
    let first = site.start().await;
    let said = site.refused(site.serve()).await;
    for words in ["another byokd already serves", "byokd.db", "--data-dir"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (folder, file) = (site.path("folder"), site.path("other.db"));
    symlink(site.data(), &folder).unwrap();
    symlink(site.data().join("byokd.db"), &file).unwrap();
    for path in [
        folder.join("byokd.db"),
        site.path("data/../data/./byokd.db"),
        file,
    ] {
        let mut serve = site.serve();
        serve
            .env("BYOKD__SERVER__DATA_DIR", site.path("second"))
            .env("BYOKD__KMS__KEY_FILE", site.data().join("kms.key"))
            .env("BYOKD__DATABASE__URL", format!("sqlite:{}", path.display()));
        let said = site.refused(serve).await;
        assert!(said.contains("another byokd already serves"), "{said}");
    }
    // The first one is not affected.
    let mut keys = first.keys(Role::Admin).await;
    keys.set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
}

/// A child process that is being started shares every open file, and so its locks.
#[tokio::test]
async fn a_closed_store_releases_its_claim_though_the_file_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings::at(&store::sqlite(folder.path()));
    let first = Store::open(&settings, OpenMode::Serve).await.unwrap();
    Store::open(&settings, OpenMode::Serve).await.unwrap_err();
    first.close().await;
    let second = Store::open(&settings, OpenMode::Serve).await.unwrap();
    drop((first, second));
}

/// A record that ended is overwritten, not only unlinked; the log that held it is deleted when byokd stops.
#[tokio::test]
async fn the_bytes_of_an_ended_record_are_in_no_file() {
    let byokd = start().await;
    let database = byokd.database().await;
    let mut ended: Vec<Vec<u8>> = Vec::new();
    for n in 1..=2 {
        byokd.set_key("acme", "openai", &openai_key(n)).await;
        let sealed = "SELECT sealed FROM provider_keys WHERE state = 'active'";
        ended.push(all(&database, sealed).await[0].try_get_by_index(0).unwrap());
    }
    let delete = v1::DeleteKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    byokd.admin().delete_key(delete).await.unwrap();
    assert!(
        files(byokd.folder.path())
            .iter()
            .any(|(_, bytes)| contains(bytes, &ended[1])),
        "in the log"
    );
    database.close().await.unwrap();
    let byokd = byokd.restart().await;
    let parts: HashSet<&[u8]> = ended.iter().flat_map(|sealed| sealed.windows(16)).collect();
    for (name, bytes) in files(byokd.folder.path()) {
        assert!(
            !bytes.windows(16).any(|window| parts.contains(window)),
            "{name}"
        );
    }
}
