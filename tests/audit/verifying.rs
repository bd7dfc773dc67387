//! `byokd audit verify` as an auditor runs it, and the files that must exist before byokd writes a stream.

use std::{fs, process::Output};

use byokd::{contract::v1, domain::caller::Role};
use serde_json::Value;

use crate::support::{Site, ask, new_key, openai_key, rows::number, until};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A site where two processes wrote one chain each and shut down in order.
async fn written() -> Site {
    let site = Site::new().await;
    for _ in 0..2 {
        let mut process = site.start().await;
        let mut resolver = process.keys(Role::Resolver).await;
        for _ in 0..4 {
            resolver
                .resolve_credentials(ask("acme", "llama", "", ""))
                .await
                .unwrap();
        }
        process.terminate();
        assert!(process.ended().await.success(), "{}", process.said());
    }
    site
}

#[tokio::test]
async fn a_sound_stream_is_0_a_tampered_one_2_and_one_that_cannot_be_checked_1() {
    let site = written().await;
    let file = site.data().join("audit.jsonl");
    let verify = |arguments: &[&str]| {
        let all = [&["audit", "verify"], arguments].concat();
        site.command(&all).output().unwrap()
    };
    let path = file.to_str().unwrap();
    let sound = verify(&[path]);
    assert_eq!(sound.status.code(), Some(0), "{}", text(&sound));
    assert!(
        text(&sound).contains("12 lines in 2 chains: sound"),
        "{}",
        text(&sound)
    );
    let json: Value = serde_json::from_slice(&verify(&[path, "-o", "json"]).stdout).unwrap();
    assert_eq!(
        (&json["sound"], &json["lines"]),
        (&Value::Bool(true), &Value::from(12))
    );
    assert!(
        json["chains"]
            .as_array()
            .unwrap()
            .iter()
            .all(|chain| chain["closed"] == true && chain["checkpoint"] == 6)
    );

    let lines = fs::read_to_string(&file).unwrap();
    let whole: Vec<&str> = lines.split_inclusive('\n').collect();
    for (tampered, words) in [
        (
            lines.replacen("\"degraded\":false", "\"degraded\":true", 1),
            "was edited",
        ),
        (
            whole[..10].concat(),
            "its tail is missing: there are 4 lines, and the database vouches for 6",
        ),
        (whole[..6].concat(), "the chain is in no file"),
        (whole[6..].concat(), "the chain is in no file"),
        (
            [&whole[..3], &whole[4..]].concat().concat(),
            "lines 4 to 4 of its chain are missing",
        ),
    ] {
        fs::write(&file, &tampered).unwrap();
        let found = verify(&[path]);
        assert_eq!(found.status.code(), Some(2), "{words}: {}", text(&found));
        assert!(text(&found).contains(words), "{words}: {}", text(&found));
    }
    // The files alone do not show that the end is missing.
    fs::write(&file, whole[..10].concat()).unwrap();
    let alone = verify(&[path, "--no-database"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone));
    assert!(text(&alone).contains("has no end"), "{}", text(&alone));
    fs::write(&file, &lines).unwrap();

    let other = site.path("other.key");
    byokd::audit::ChainKey::create(&other).unwrap();
    let with_another = verify(&[path, "--key-file", other.to_str().unwrap()]);
    assert_eq!(
        with_another.status.code(),
        Some(2),
        "{}",
        text(&with_another)
    );
    for unusable in [&["nowhere.jsonl"][..], &[path, "--key-file", "nowhere.key"]] {
        let failed = verify(unusable);
        assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
        assert!(text(&failed).contains("nowhere"), "{}", text(&failed));
    }
}

#[tokio::test]
async fn the_database_knows_a_chain_from_its_first_line() {
    let site = Site::new().await;
    let mut process = site.start().await;
    let database = site.database().await;
    let open = "SELECT count(*) FROM audit_chains WHERE count >= 1 AND closed = FALSE";
    until("there is a checkpoint", async || {
        (number(&database, open).await == 1).then_some(())
    })
    .await;
    process.terminate();
    assert!(process.ended().await.success());
    assert_eq!(
        number(
            &database,
            "SELECT count(*) FROM audit_chains WHERE count = 2 AND closed = TRUE"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_configured_chain_key_must_exist_and_a_used_one_is_not_replaced() {
    let site = Site::new().await;
    fs::remove_file(site.path("audit.key")).unwrap();
    let said = site.refused(site.serve()).await;
    assert!(
        said.contains("audit.key") && said.contains("openssl rand -hex 32"),
        "{said}"
    );
    let site = Site::on_sqlite().await;
    let embedded = || {
        let mut serve = site.serve();
        serve.env_remove("BYOKD__AUDIT__KEY_FILE");
        serve
    };
    let mut process = site.start_as(embedded()).await;
    process.terminate();
    assert!(process.ended().await.success());
    let key = site.data().join("audit.key");
    use std::os::unix::fs::MetadataExt as _;
    for file in [&key, &site.data().join("audit.jsonl")] {
        assert_eq!(
            fs::metadata(file).unwrap().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
    fs::remove_file(&key).unwrap();
    let said = site.refused(embedded()).await;
    assert!(said.contains("the database knows chains of it"), "{said}");
    fs::write(&key, "x").unwrap();
    assert!(
        site.refused(embedded())
            .await
            .contains("may be read by others")
    );
}

#[tokio::test]
async fn durable_needs_a_file() {
    let site = Site::new().await;
    let mut serve = site.serve();
    serve
        .env("BYOKD__AUDIT__MODE", "durable")
        .env("BYOKD__AUDIT__FILE", "-");
    let said = site.refused(serve).await;
    assert!(said.contains("audit.file is standard output"), "{said}");
}

/// The stream is then the only output on standard output.
#[tokio::test]
async fn a_stream_on_standard_output_verifies() {
    let site = Site::new().await;
    let file = site.path("out.jsonl");
    let mut serve = site.serve();
    serve.env("BYOKD__AUDIT__FILE", "-");
    let mut process = site.listening(site.spawn_to(serve, &file)).await;
    process
        .keys(Role::Resolver)
        .await
        .resolve_credentials(ask("acme", "llama", "", ""))
        .await
        .unwrap();
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    assert!(
        process.said().contains("byokd serves on"),
        "{}",
        process.said()
    );
    let verified = site
        .command(&["audit", "verify", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    assert!(
        text(&verified).contains("3 lines in 1 chains"),
        "{}",
        text(&verified)
    );
}

#[tokio::test]
async fn the_command_line_lists_what_the_rpcs_do() {
    let site = Site::new().await;
    let mut process = site.start().await;
    let mut admin = process.keys(Role::Admin).await;
    let set = v1::SetKeyRequest {
        enable_byo: true,
        ..new_key("acme", "openai", &openai_key(1))
    };
    admin.set_key(set).await.unwrap();
    let mut resolver = process.keys(Role::Resolver).await;
    resolver
        .resolve_credentials(ask("acme", "", "openai", ""))
        .await
        .unwrap();
    process.terminate();
    assert!(process.ended().await.success(), "{}", process.said());
    let _process = site.start().await;
    let run = |arguments: &[&str]| {
        let output = site.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&run(&[arguments, &["-o", "json"]].concat())).unwrap()
    };
    let events = json(&["audit", "list", "acme"]);
    assert_eq!(events["events"][0]["action"], "SetKey");
    let after = events["events"][0]["after"].as_str().unwrap();
    let after: Value = serde_json::from_str(after).unwrap();
    assert_eq!(after["byo_enabled"], true);
    assert!(run(&["audit", "list", "acme"]).contains("SetKey"));
    assert_eq!(
        json(&["audit", "usage", "acme"])["usage"][0]["handedOut"],
        "1"
    );
    assert!(run(&["audit", "usage", "acme"]).contains("HANDED OUT"));
    assert_eq!(
        run(&["audit", "list", "acme", "--end", "2020-01-01T00:00:00Z"]),
        "no changes\n"
    );
    assert_eq!(
        run(&[
            "audit",
            "usage",
            "acme",
            "--end",
            "2020-01-01T00:00:00+02:00"
        ]),
        "no key was handed out\n"
    );
    assert_eq!(run(&["platform", "audit"]), "no changes\n");
}
