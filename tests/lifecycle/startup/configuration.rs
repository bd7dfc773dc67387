//! A configuration or catalog that is wrong, or that would send keys in clear text, stops the start before
//! byokd creates a file.

use std::{fs, process::Command};

use super::says;
use crate::support::Site;

#[tokio::test]
async fn a_wrong_catalog_is_refused_with_the_fault() {
    let site = Site::new().await;
    let (file, good) = (
        site.path("catalog.toml"),
        fs::read_to_string(site.path("catalog.toml")).unwrap(),
    );
    let cases = [
        (
            good.replace("[models.small]", "[models.small"),
            "catalog.toml is wrong",
        ),
        (
            good.replace("provider = \"anthropic\"", "provider = \"missing\""),
            "[providers]",
        ),
        (
            good.replace(
                "default_model = \"small\"\n[",
                "default_model = \"none-such\"\n[",
            ),
            "default_model",
        ),
        (
            good.replace("payer = \"free\"", "payer = \"someone\""),
            "someone",
        ),
    ];
    for (text, word) in cases {
        assert_ne!(text, good, "{word}");
        fs::write(&file, text).unwrap();
        says(&site.refused(site.serve()).await, &["catalog.toml", word]);
    }
    fs::remove_file(&file).unwrap();
    says(
        &site.refused(site.serve()).await,
        &["catalog.toml cannot be read"],
    );
}

#[tokio::test]
async fn a_catalog_host_that_may_not_be_called_is_refused_by_name() {
    let site = Site::new().await;
    let file = site.path("catalog.toml");
    let good = fs::read_to_string(&file).unwrap();
    let loopback = site.provider.base_url().to_string();
    for host in [
        "http://api.example.com/v1",
        "https://10.0.0.7/v1",
        "https://169.254.169.254/v1",
    ] {
        fs::write(&file, good.replace(&loopback, host)).unwrap();
        says(
            &site.refused(site.serve()).await,
            &[host, "may not be called"],
        );
    }
    // Clear text on loopback is for development configurations only.
    fs::write(&file, good).unwrap();
    let mut serve = site.serve();
    serve.env_remove("BYOKD__EGRESS__LOOPBACK_HTTP");
    says(&site.refused(serve).await, &["may not be called"]);
}

#[tokio::test]
async fn unknown_settings_are_refused_all_at_once() {
    let site = Site::new().await;
    fs::write(
        site.path("byokd.toml"),
        "[server]\nport = 1\n[colours]\nred = 1\n",
    )
    .unwrap();
    let mut serve = site.serve();
    serve
        .env("BYOKD__NO__SUCH", "x")
        .env("BYOKD__RESOLUTION__LEASE_SECONDS", "soon");
    let said = site.refused(serve).await;
    says(
        &said,
        &[
            "byokd.toml: server.port is not a setting",
            "byokd.toml: colours.red is not a setting",
            "BYOKD__NO__SUCH: no.such is not a setting",
            "BYOKD__RESOLUTION__LEASE_SECONDS",
        ],
    );
    assert!(!site.data().exists(), "refused before anything is made");
}

#[tokio::test]
async fn clear_text_off_loopback_is_refused_with_the_remedy() {
    let site = Site::new().await;
    for address in ["0.0.0.0:0", "[::]:0"] {
        let mut off = Command::new(env!("CARGO_BIN_EXE_byokd"));
        off.args([
            "serve",
            "--listen",
            address,
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .current_dir(site.path(""));
        let said = site.refused(off).await;
        says(&said, &["clear text", "server.plaintext", "auth.embedded"]);
    }
}
