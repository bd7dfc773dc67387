//! A local KMS key file that is missing, unreadable or foreign stops the start when records exist, and is
//! never replaced.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use byokd::{contract::v1, domain::caller::Role};

use super::{says, with_a_record};
use crate::support::{new_key, openai_key};

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_missing_kms_key_file_is_never_replaced_while_records_exist() {
    let site = with_a_record().await;
    let (file, kept) = (site.data().join("kms.key"), site.path("kept.key"));
    fs::rename(&file, &kept).unwrap();
    let said = site.refused(site.serve()).await;
    says(
        &said,
        &[
            "kms.key is not there",
            "data keys under local:",
            "restore the file",
        ],
    );
    assert!(!file.exists());
    // Nor through a dangling link.
    symlink(site.path("nowhere"), &file).unwrap();
    site.refused(site.serve()).await;
    assert!(!site.path("nowhere").exists());
    fs::remove_file(&file).unwrap();
    fs::rename(&kept, &file).unwrap();
    site.start().await;
}

#[tokio::test]
async fn an_unusable_kms_key_file_is_refused_and_left_alone() {
    let site = with_a_record().await;
    let file = site.data().join("kms.key");
    let good = fs::read_to_string(&file).unwrap();
    set_mode(&file, 0o644);
    says(
        &site.refused(site.serve()).await,
        &["kms.key", "may be read by others", "chmod 600"],
    );
    set_mode(&file, 0o600);
    let secret = good.rsplit('"').nth(1).unwrap();
    for garbage in [
        String::new(),
        "\0\u{1}".to_owned(),
        good.replace(secret, secret.strip_suffix(|_| true).unwrap()),
    ] {
        fs::write(&file, &garbage).unwrap();
        let said = site.refused(site.serve()).await;
        says(&said, &["kms.key", "is not one that byokd wrote"]);
        assert!(!said.contains(secret.get(..8).unwrap()));
        assert_eq!(fs::read_to_string(&file).unwrap(), garbage);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    set_mode(&file, 0o700);
    says(
        &site.refused(site.serve()).await,
        &["kms.key", "cannot be read"],
    );
}

#[tokio::test]
async fn a_foreign_kms_key_file_is_refused_by_name() {
    let (site, foreign) = (with_a_record().await, with_a_record().await);
    let file = site.data().join("kms.key");
    let id = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.split('"').nth(1).unwrap().to_owned()
    };
    let own = id(&file);
    fs::copy(&file, site.path("own.key")).unwrap();
    fs::copy(foreign.data().join("kms.key"), &file).unwrap();
    let said = site.refused(site.serve()).await;
    says(
        &said,
        &[
            &format!("local:{own}"),
            "kms.previous_keys",
            "restore the key file",
        ],
    );
    // The proposal in the message works.
    let mut serve = site.serve();
    let own = site.path("own.key");
    serve.env(
        "BYOKD__KMS__PREVIOUS_KEYS",
        format!("['{}']", own.display()),
    );
    let process = site.start_as(serve).await;
    let mut keys = process.keys(Role::Admin).await;
    keys.set_key(new_key("acme", "openai", &openai_key(2)))
        .await
        .unwrap();
}

/// The right name with another secret: byokd would wrap new data keys with it.
#[tokio::test]
async fn a_kms_key_file_of_the_right_name_with_another_secret_is_refused() {
    let site = with_a_record().await;
    let file = site.data().join("kms.key");
    let good = fs::read_to_string(&file).unwrap();
    let secret = good.rsplit('"').nth(1).unwrap();
    fs::write(&file, good.replace(secret, &"5a".repeat(32))).unwrap();
    let said = site.refused(site.serve()).await;
    says(
        &said,
        &[
            "unwraps none of the database's data keys",
            "restore the one",
        ],
    );
    fs::write(&file, &good).unwrap();
    let process = site.start().await;
    let verify = v1::VerifyKeyRequest {
        workspace_id: "acme".into(),
        provider: "openai".into(),
        ..Default::default()
    };
    process
        .keys(Role::Admin)
        .await
        .verify_key(verify)
        .await
        .unwrap();
}

#[tokio::test]
async fn created_files_are_for_their_owner_alone() {
    let site = with_a_record().await;
    for path in [
        site.data(),
        site.data().join("kms.key"),
        site.data().join("token-signer"),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    for (name, mode) in [
        ("kms.key", 0o640),
        ("kms.key", 0o604),
        ("token-signer", 0o640),
    ] {
        set_mode(&site.data().join(name), mode);
        says(&site.refused(site.serve()).await, &[name, "chmod 600"]);
        set_mode(&site.data().join(name), 0o600);
    }
}
