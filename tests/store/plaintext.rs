//! No table and no file of the data folder holds a provider key or data key in clear text.

use std::{collections::HashSet, fs, path::Path};

use byokd::{
    contract::v1,
    domain::envelope::DataKeyId,
    kms::{EncryptionContext, Kms, LocalKms, Wrapped},
};

use crate::support::{
    Byokd, new_key, openai_key,
    rows::number,
    sql::{all, hex, holding, text},
    until,
};

/// Every file below a folder, raw: SQLite's with its log, too.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    found
}

pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn a_keys_bytes_are_in_no_table_and_in_no_file() {
    let byokd = Byokd::start().await;
    // All ways in which a key arrives: stored, superseded, refused, validated only, retried, the platform's.
    let planted: Vec<String> = (1..=6)
        .map(|n| format!("sk-proj-PLANTED-{n}-0123456789abcdefWXYZ"))
        .collect();
    for (n, key) in planted[..2].iter().enumerate() {
        let request = v1::SetKeyRequest {
            request_id: format!("request-{n}"),
            ..new_key("acme", "openai", key)
        };
        byokd.admin().set_key(request.clone()).await.unwrap();
        byokd.admin().set_key(request).await.unwrap();
    }
    let tested = v1::SetKeyRequest {
        validate_only: true,
        ..new_key("acme", "openai", &planted[2])
    };
    byokd.admin().set_key(tested).await.unwrap();
    byokd.set_platform_key("openai", &planted[3]).await;
    byokd.toggle("acme", true).await;
    assert_eq!(byokd.secret("acme", "openai").await.unwrap(), planted[1]);
    byokd
        .provider
        .set_valid_keys(&planted[..1].iter().map(String::as_str).collect::<Vec<_>>());
    byokd
        .admin()
        .set_key(new_key("acme", "openai", &planted[4]))
        .await
        .unwrap_err();
    byokd
        .admin()
        .set_key(new_key(&planted[5], "openai", &planted[5]))
        .await
        .unwrap_err();

    let database = byokd.database().await;
    assert!(
        !holding(&database, b"WXYZ").await.is_empty(),
        "the search finds what is there"
    );
    assert_eq!(holding(&database, b"PLANTED").await, Vec::<String>::new());
    let before = files(byokd.folder.path());
    assert!(
        before
            .iter()
            .any(|(_, bytes)| contains(bytes, b"byokd's local KMS key")),
        "this search, too"
    );
    let byokd = byokd.restart().await;
    for (name, bytes) in before.iter().chain(&files(byokd.folder.path())) {
        assert!(!contains(bytes, b"PLANTED"), "{name}");
        assert!(!contains(bytes, hex(b"PLANTED").as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn all_data_keys_are_created_after_start_and_none_is_in_clear_text() {
    let byokd = Byokd::start().await;
    let database = byokd.database().await;
    until("all data keys exist", async || {
        (number(
            &database,
            "SELECT count(*) FROM data_keys WHERE state = 'active'",
        )
        .await
            == 256)
            .then_some(())
    })
    .await;
    assert_eq!(
        number(
            &database,
            "SELECT count(DISTINCT bucket) FROM data_keys WHERE bucket BETWEEN 0 AND 255"
        )
        .await,
        256
    );
    assert_eq!(
        number(&database, "SELECT count(DISTINCT wrapped) FROM data_keys").await,
        256
    );
    byokd.set_key("acme", "openai", &openai_key(1)).await;

    let kms = Kms::Local(LocalKms::open(&byokd.config.kms_key_file(), &[]).unwrap());
    let deployment = all(&database, "SELECT deployment_id FROM deployment").await[0]
        .try_get_by_index(0)
        .unwrap();
    let mut secrets = HashSet::new();
    for row in all(
        &database,
        "SELECT bucket, version, wrapped, kms_key_arn FROM data_keys",
    )
    .await
    {
        let data_key = DataKeyId {
            bucket: row
                .try_get::<i32>("", "bucket")
                .unwrap()
                .try_into()
                .unwrap(),
            version: row
                .try_get::<i64>("", "version")
                .unwrap()
                .try_into()
                .unwrap(),
        };
        let wrapped = Wrapped {
            blob: row.try_get("", "wrapped").unwrap(),
            kms_key_arn: text(&row, "kms_key_arn"),
        };
        let secret = kms
            .unwrap(
                &wrapped,
                EncryptionContext {
                    deployment,
                    data_key,
                },
            )
            .await
            .unwrap();
        assert_eq!(secret.len(), 32);
        secrets.insert(secret[..16].to_vec());
        secrets.insert(hex(&secret[..8]).into_bytes());
    }
    assert_eq!(secrets.len(), 512);
    let byokd = byokd.restart().await;
    for (name, bytes) in files(byokd.folder.path()) {
        assert!(
            !bytes.windows(16).any(|window| secrets.contains(window)),
            "{name}"
        );
    }
}
