//! The binary over a fake AWS KMS: good starts, refused starts, and the move from a key file.

use std::process::Command;

use byokd::domain::caller::Role;

use super::{says, with_a_record};
use crate::support::{FakeKms, Site, fake_kms::Failure, new_key, openai_key, rows::number, until};

/// `byokd serve` with `alias/byokd` of this KMS.
fn serve(site: &Site, kms: &FakeKms) -> Command {
    let mut serve = site.serve();
    serve
        .env("BYOKD__KMS__KEY", "alias/byokd")
        .env("BYOKD__KMS__REGION", "eu-central-1")
        .env("BYOKD__KMS__ENDPOINT_URL", kms.url())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIDSYNTHETIC")
        .env("AWS_SECRET_ACCESS_KEY", "SECRET-OF-THE-TEST");
    serve
}

#[tokio::test]
async fn aws_kms_wraps_every_data_key_and_no_key_file_is_made() {
    let (site, kms) = (Site::new().await, FakeKms::start().await);
    let arn = kms.add_key("alias/byokd");
    let mut process = site.start_as(serve(&site, &kms)).await;
    process
        .keys(Role::Admin)
        .await
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap();
    let database = site.database().await;
    let wrapped =
        format!("SELECT count(*) FROM data_keys WHERE state = 'active' AND kms_key_arn = '{arn}'");
    until("all data keys exist", async || {
        (number(&database, &wrapped).await == 256).then_some(())
    })
    .await;
    assert_eq!(kms.count("GenerateDataKey"), 256);
    assert!(!site.data().join("kms.key").exists());
    process.terminate();
    process.ended().await;
    assert!(!process.said().contains("SECRET-OF-THE-TEST"));

    // Another KMS key under the same alias did not wrap these rows.
    kms.add_key("alias/byokd");
    let said = site.refused(serve(&site, &kms)).await;
    says(&said, &[&arn, "kms.previous_keys"]);
    let mut with_previous = serve(&site, &kms);
    with_previous.env("BYOKD__KMS__PREVIOUS_KEYS", format!("['{arn}']"));
    let process = site.start_as(with_previous).await;
    process
        .keys(Role::Admin)
        .await
        .set_key(new_key("acme", "openai", &openai_key(2)))
        .await
        .unwrap();
}

#[tokio::test]
async fn definitive_refusals_of_aws_stop_the_start_and_an_outage_does_not() {
    let (site, kms) = (Site::new().await, FakeKms::start().await);
    says(
        &site.refused(serve(&site, &kms)).await,
        &["alias/byokd", "eu-central-1", "kms.region"],
    );
    let arn = kms.add_key("alias/byokd");
    kms.fail(Some(Failure::Answer(400, "AccessDeniedException")));
    let said = site.refused(serve(&site, &kms)).await;
    says(
        &said,
        &[
            "DescribeKey",
            "grant kms:DescribeKey, kms:GenerateDataKey and kms:Decrypt",
        ],
    );
    kms.fail(None);
    kms.set_state(&arn, "Disabled");
    says(
        &site.refused(serve(&site, &kms)).await,
        &[&arn, "Disabled", "enable it"],
    );
    kms.set_state(&arn, "Enabled");
    let mut without = serve(&site, &kms);
    without
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    says(
        &site.refused(without).await,
        &["no AWS credentials", "AWS_ACCESS_KEY_ID", "IRSA"],
    );
    let mut nowhere = serve(&site, &kms);
    nowhere.env_remove("BYOKD__KMS__REGION");
    says(&site.refused(nowhere).await, &["kms.region"]);

    kms.fail(Some(Failure::Dead));
    let process = site.start_as(serve(&site, &kms)).await;
    let mut keys = process.keys(Role::Admin).await;
    let status = keys
        .set_key(new_key("acme", "openai", &openai_key(1)))
        .await
        .unwrap_err();
    assert_eq!(crate::support::reason(&status), "KMS_UNAVAILABLE");
    kms.fail(None);
    until("the KMS is asked again", async || {
        keys.set_key(new_key("acme", "openai", &openai_key(1)))
            .await
            .ok()
    })
    .await;
}

/// From a key file to AWS: byokd still opens data keys that the file wrapped; AWS wraps the new ones.
#[tokio::test]
async fn a_key_file_still_unwraps_as_a_previous_key() {
    let (site, kms) = (with_a_record().await, FakeKms::start().await);
    kms.add_key("alias/byokd");
    says(
        &site.refused(serve(&site, &kms)).await,
        &["local:", "kms.previous_keys"],
    );
    let mut moved = serve(&site, &kms);
    moved.env(
        "BYOKD__KMS__PREVIOUS_KEYS",
        format!("['{}']", site.data().join("kms.key").display()),
    );
    let process = site.start_as(moved).await;
    let verify = byokd::contract::v1::VerifyKeyRequest {
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
