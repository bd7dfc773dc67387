//! `byokd serve --demo` as a newcomer meets it: every key, every step of the walk, and what it refuses to start with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use byokd::{
    contract::v1::{self, key_service_client::KeyServiceClient},
    demo::{DemoKey, demo_keys, steps},
    domain::{caller::Role, clock::Clock, names::PurposeName, protocol::Protocol, verdict::Badge},
    identity::{MintRequest, Signer, mint},
};
use serde_json::Value;
use tonic::{Code, service::interceptor::InterceptedService, transport::Endpoint};
use tonic_types::StatusExt as _;

use crate::support::{byokd::Keys, new_key, reason, requests::Bearer, until};

const VENDORS: [(&str, Protocol); 2] = [
    ("openai", Protocol::Openai),
    ("anthropic", Protocol::Anthropic),
];

/// A folder in which byokd is started.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_byokd"));
        command
            .args(arguments)
            .env_clear()
            .current_dir(self.0.path());
        command
    }

    /// `byokd serve --demo` on free ports.
    fn serve(&self) -> Command {
        self.command(&[
            "serve",
            "--demo",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--output",
            "json",
        ])
    }

    /// Starts a demo and waits for its banner.
    async fn start(&self) -> DemoProcess {
        let (out, err) = (self.path("out"), self.path("err"));
        let mut child = self
            .serve()
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let started: Value = until("the demo starts", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}: {}", fs::read_to_string(&err).unwrap());
            }
            serde_json::from_str(&fs::read_to_string(&out).unwrap()).ok()
        })
        .await;
        DemoProcess {
            child,
            server: started["server"].as_str().unwrap().to_owned(),
            provider: started["demo"]["provider"].as_str().unwrap().to_owned(),
            folder: self.path("byokd-demo"),
        }
    }
}

/// A demo that runs; it ends with the value.
struct DemoProcess {
    child: Child,
    server: String,
    provider: String,
    folder: PathBuf,
}

impl DemoProcess {
    async fn keys(&self) -> Keys {
        let request = MintRequest {
            subject: "tests".to_owned(),
            roles: vec![Role::Admin, Role::Resolver],
            workspace: "*".to_owned(),
            purposes: vec![PurposeName::reply()],
        };
        let signer = Signer::in_folder(&self.folder).unwrap();
        let token = mint(&signer, &request, &Clock::system()).unwrap();
        let endpoint = Endpoint::from_shared(self.server.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        KeyServiceClient::new(InterceptedService::new(channel, Bearer::new(&token)))
    }

    async fn post(&self, path: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(format!("{}{path}", self.provider)).send();
        answer.await.unwrap().text().await.unwrap()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for DemoProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn each_key_shows_its_verdict_its_badge_and_its_refusal() {
    let place = Place::new();
    let demo = place.start().await;
    let all = demo_keys().unwrap();
    let [openai, anthropic] = VENDORS;
    tokio::join!(
        check_keys(&demo, openai, &all),
        check_keys(&demo, anthropic, &all)
    );
}

async fn check_keys(demo: &DemoProcess, vendor: (&str, Protocol), all: &[DemoKey]) {
    let (provider, protocol) = vendor;
    let mut keys = demo.keys().await;
    let known = |key: &&DemoKey| key.vendor.is_none_or(|vendor| vendor == protocol);
    for key in all.iter().filter(known) {
        let DemoKey { name, verdict, .. } = key;
        let mut request = new_key(&format!("of-{name}"), provider, name);
        let answer = keys.set_key(request.clone()).await;
        match &key.refusal {
            Some(refusal) => {
                let status = answer.unwrap_err();
                assert_eq!(&reason(&status), refusal, "{name} at {provider}");
                let info = status.get_details_error_info().unwrap();
                assert_eq!(info.metadata["verdict"], verdict.as_str(), "{name}");
            }
            None => expect_stored(key, answer.unwrap().into_inner()),
        }
        if key.refusal.is_some() {
            request.allow_unverified = true;
            match (keys.set_key(request).await, key.badge) {
                (Ok(answer), _) => expect_stored(key, answer.into_inner()),
                (Err(status), None) => assert_eq!(status.code(), Code::InvalidArgument, "{name}"),
                (Err(status), Some(_)) => panic!("{name} at {provider}: {status:?}"),
            }
        }
    }
}

fn expect_stored(key: &DemoKey, answer: v1::SetKeyResponse) {
    let stored = answer.key.unwrap();
    let badge = key.badge.map_or("none", Badge::as_str);
    assert_eq!(stored.badge().as_str_name(), format!("BADGE_{badge}"));
    assert_eq!(
        stored.verdict().as_str_name(),
        format!("VERDICT_{}", key.verdict.as_str()),
        "{}",
        key.name
    );
}

#[tokio::test]
async fn the_walk_shows_every_badge_and_billing_mode_within_two_minutes() {
    let place = Place::new();
    let (demo, started) = (place.start().await, Instant::now());
    let bin = Path::new(env!("CARGO_BIN_EXE_byokd")).parent().unwrap();
    for step in steps() {
        let said = match step.command.strip_prefix("curl -s -X POST PROVIDER") {
            Some(path) => demo.post(path).await,
            None => {
                let Output { stdout, stderr, .. } = Command::new("bash")
                    .args(["-c", step.command])
                    .env_clear()
                    .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
                    .env("BYOKD__SERVER__DATA_DIR", &demo.folder)
                    .stdin(Stdio::null())
                    .current_dir(place.0.path())
                    .output()
                    .unwrap();
                String::from_utf8([stdout, stderr].concat()).unwrap()
            }
        };
        let words: Vec<&str> = said.split([' ', '\n', ',', ':']).collect();
        let shown = words.contains(&step.shows) || said.trim_end().ends_with(step.shows);
        assert!(shown, "{}: no {} in {said}", step.command, step.shows);
    }
    assert!(started.elapsed() < Duration::from_secs(120));
    let shown: BTreeSet<&str> = steps().map(|step| step.shows).collect();
    for badge in ["CONNECTED", "LIMITED", "UNVERIFIED", "FAILING", "REJECTED"] {
        assert!(shown.contains(badge), "{badge}");
    }
    for mode in ["CREDITS", "BYO", "UNMETERED"] {
        assert!(shown.contains(mode), "{mode}");
    }
}

#[tokio::test]
async fn a_demo_removes_its_folder_and_touches_no_other() {
    let place = Place::new();
    let real = place.path("byokd-data");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("byokd.db"), "kept").unwrap();
    let mut demo = place.start().await;
    assert!(demo.folder.join("byokd.db").exists());
    demo.signal("-TERM");
    let status = until("the demo ends", async || demo.child.try_wait().unwrap()).await;
    assert!(status.success());
    assert!(!demo.folder.exists());
    assert_eq!(fs::read_dir(&real).unwrap().count(), 1);

    // A demo that was killed leaves its folder, and the next one starts with it.
    let mut killed = place.start().await;
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(killed.folder.join("byokd.db").exists());
    let next = place.start().await;
    let refused = refused(place.serve());
    assert!(refused.contains("another demo runs"), "{refused}");
    let mut keys = next.keys().await;
    let answer = keys.set_key(new_key("acme", "openai", "demo-valid")).await;
    assert_eq!(answer.unwrap().into_inner().workspace.unwrap().revision, 1);
}

#[test]
fn a_demo_refuses_to_run_beside_anything_real() {
    let place = Place::new();
    let rows: [(&[(&str, &str)], &str); 7] = [
        (
            &[("DATABASE__URL", "postgres://byokd:hunter2@127.0.0.1/byokd")],
            "database.url",
        ),
        (&[("DATABASE__URL", "sqlite:real.db")], "database.url"),
        (
            &[("KMS__KEY", "alias/byokd"), ("KMS__REGION", "eu-central-1")],
            "kms.key",
        ),
        (&[("KMS__KEY_FILE", "kms.key")], "kms.key_file"),
        (&[("CATALOG__FILE", "catalog.toml")], "catalog.file"),
        (&[("SERVER__LISTEN", "0.0.0.0:0")], "server.listen"),
        (
            &[("SERVER__ADMIN_LISTEN", "0.0.0.0:0")],
            "server.admin_listen",
        ),
    ];
    for (settings, named) in rows {
        let mut command = place.command(&["serve", "--demo"]);
        for (name, value) in [("SERVER__LISTEN", "127.0.0.1:0")].iter().chain(settings) {
            command.env(format!("BYOKD__{name}"), value);
        }
        let said = refused(command);
        assert!(said.contains(named), "{named}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!place.path("byokd-demo").exists());
    }
    let taken = place.path("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("file"), "kept").unwrap();
    let mut command = place.serve();
    command.env("BYOKD__SERVER__DATA_DIR", &taken);
    let said = refused(command);
    assert!(said.contains("--data-dir"), "{said}");
    assert_eq!(fs::read_to_string(taken.join("file")).unwrap(), "kept");
}

/// What a command says that must end with exit code 1.
fn refused(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn the_page_lists_every_key_and_every_step() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo.md");
    let page = fs::read_to_string(page).unwrap();
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    let rows: BTreeMap<String, Vec<String>> = page
        .lines()
        .filter(|line| line.starts_with("| `demo-"))
        .map(cells)
        .map(|cells| (cells[0].clone(), cells))
        .collect();
    let keys = demo_keys().unwrap();
    assert_eq!(rows.len(), keys.len());
    for key in keys {
        let only = match key.vendor {
            Some(Protocol::Openai) => " (OpenAI only)",
            Some(_) => " (Anthropic only)",
            None => "",
        };
        let expected = [
            key.name.clone(),
            format!("{}{only}", key.account),
            key.verdict.as_str().to_owned(),
            key.refusal.unwrap_or_else(|| "stored".to_owned()),
            key.badge.map_or("", Badge::as_str).to_owned(),
        ];
        assert_eq!(rows[&key.name], expected);
    }
    for step in steps() {
        assert!(page.contains(step.command), "{}", step.command);
        assert!(page.contains(step.shows), "{}", step.shows);
    }
}
