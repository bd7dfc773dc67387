//! Replicas as processes over one database, and callers that never stop.
//!
//! Each replica has its own folder. They share the database, the environment with their KMS key, and the key
//! file if there is one.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use byokd::{contract::v1, domain::caller::Role, kms::LocalKms};
use sea_orm::DatabaseConnection;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{
    KmsProxy, Process, Site, ask, kms_proxy::REGION, new_key, openai_key, postgres, until,
};

/// A database, and the settings by which a byokd finds it and its KMS key.
pub(crate) struct Fleet {
    /// The first replica's; commands beside the replicas run here, too.
    pub(crate) site: Site,
    environment: Vec<(&'static str, String)>,
    url: String,
    key_files: Vec<String>,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) said: String,
}

impl Fleet {
    /// On a database of its own on the shared PostgreSQL, with a key file that all share.
    pub(crate) async fn on_postgres() -> Self {
        Self::on(Site::new().await, postgres::shared().await)
    }

    /// On one machine.
    pub(crate) async fn on_sqlite() -> Self {
        let site = Site::new().await;
        let url = format!("sqlite:{}", site.path("byokd.db").display());
        Self::on(site, url)
    }

    fn on(site: Site, url: String) -> Self {
        let mut fleet = Self {
            site,
            environment: Vec::new(),
            url: url.clone(),
            key_files: Vec::new(),
        };
        // All test keys at the same provider.
        fleet.set(
            "BYOKD__CATALOG__FILE",
            &fleet.site.path("catalog.toml").display().to_string(),
        );
        fleet.set("BYOKD__DATABASE__URL", &url);
        let file = fleet.key_file("first.key");
        fleet.set("BYOKD__KMS__KEY_FILE", &file.display().to_string());
        fleet
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A new key file that no replica uses yet.
    pub(crate) fn key_file(&mut self, name: &str) -> PathBuf {
        let file = self.site.path(name);
        LocalKms::create(&file).unwrap();
        self.key_files.push(file.display().to_string());
        file
    }

    /// Every key file so far, in order.
    pub(crate) fn key_files(&self) -> Vec<String> {
        self.key_files.clone()
    }

    /// Another setting for every command from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(own, _)| *own != name);
        self.environment.push((name, value.to_owned()));
    }

    pub(crate) fn unset(&mut self, name: &'static str) {
        self.environment.retain(|(own, _)| *own != name);
    }

    /// The KMS key that wraps from now on, and the previous ones.
    pub(crate) fn set_kms(&mut self, kms: &KmsProxy, arn: &str, previous: &[&str]) {
        self.set("BYOKD__KMS__KEY", arn);
        self.set("BYOKD__KMS__REGION", REGION);
        self.set("BYOKD__KMS__ENDPOINT_URL", &kms.endpoint());
        self.set("AWS_EC2_METADATA_DISABLED", "true");
        self.set("AWS_ACCESS_KEY_ID", "AKIDSYNTHETIC");
        self.set("AWS_SECRET_ACCESS_KEY", "SECRET-OF-THE-TEST");
        self.set_previous(previous);
    }

    pub(crate) fn set_previous(&mut self, previous: &[&str]) {
        let previous: Vec<String> = previous.iter().map(|name| format!("'{name}'")).collect();
        self.set(
            "BYOKD__KMS__PREVIOUS_KEYS",
            &format!("[{}]", previous.join(", ")),
        );
    }

    /// Any command, run in the first replica's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.site, arguments)
    }

    fn command_of(&self, site: &Site, arguments: &[&str]) -> Command {
        let mut command = site.command(arguments);
        command.envs(
            self.environment
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended = Ended {
            code: output.status.code(),
            out: text(output.stdout),
            said: text(output.stderr),
        };
        assert!(!ended.said.contains("panicked"), "{ended:?}");
        ended
    }

    /// The first replica, started.
    pub(crate) async fn start(&self) -> Process {
        self.start_at(&self.site).await
    }

    /// A replica in another folder.
    pub(crate) async fn start_at(&self, site: &Site) -> Process {
        let mut serve = site.serve();
        serve.envs(
            self.environment
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        site.start_as(serve).await
    }

    /// A folder for another replica, with the token signer of the first one, which must have started before.
    pub(crate) async fn another(&self) -> Site {
        let site = Site::new().await;
        fs::create_dir(site.data()).unwrap();
        fs::copy(
            self.site.data().join("token-signer"),
            site.data().join("token-signer"),
        )
        .unwrap();
        site
    }

    /// The database, as its administrator sees it.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        crate::support::store::connect(&self.url).await
    }
}

impl Ended {
    /// The output of `-o json`; the command must have succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// It ended with this code and printed all these texts.
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(
                self.out.contains(word) || self.said.contains(word),
                "{word}: {self:?}"
            );
        }
    }
}

pub(crate) fn workspace(n: u32) -> String {
    format!("w{n}")
}

/// Sets the key `n` of the workspace `n`, for each of them, with BYO on.
pub(crate) async fn set_keys(process: &Process, count: u32) {
    let mut admin = process.keys(Role::Admin).await;
    for n in 0..count {
        let request = v1::SetKeyRequest {
            enable_byo: true,
            ..new_key(&workspace(n), "openai", &openai_key(n))
        };
        admin.set_key(request).await.unwrap();
    }
}

/// Each workspace's key is the one that [`set_keys`] set.
pub(crate) async fn assert_keys(process: &Process, count: u32) {
    let mut resolver = process.keys(Role::Resolver).await;
    for n in 0..count {
        let resolved = resolver
            .resolve_credentials(ask(&workspace(n), "", "openai", ""))
            .await;
        let resolved = resolved
            .unwrap_or_else(|status| panic!("{}: {status:?}", workspace(n)))
            .into_inner();
        assert_eq!(resolved.credential.unwrap().api_key, openai_key(n));
    }
}

/// Callers that resolve and set keys until they are stopped. None of their calls fails.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Resolves the keys of [`set_keys`], and sets keys of a workspace of its own.
    pub(crate) async fn start(process: &Process, count: u32) -> Self {
        let (stop, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut load = Self {
            stop,
            calls,
            tasks: JoinSet::new(),
        };
        let (mut resolver, mut admin) = (
            process.keys(Role::Resolver).await,
            process.keys(Role::Admin).await,
        );
        let (stop, calls) = (Arc::clone(&load.stop), Arc::clone(&load.calls));
        load.tasks.spawn(async move {
            for n in (0..count).cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let resolved = resolver
                    .resolve_credentials(ask(&workspace(n), "", "openai", ""))
                    .await;
                let resolved = resolved.unwrap_or_else(|status| panic!("resolve w{n}: {status:?}"));
                assert_eq!(
                    resolved.into_inner().credential.unwrap().api_key,
                    openai_key(n)
                );
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (stop, calls) = (Arc::clone(&load.stop), Arc::clone(&load.calls));
        load.tasks.spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let set = admin.set_key(new_key(
                    &format!("busy-{}", n % 50),
                    "openai",
                    &openai_key(n),
                ));
                set.await
                    .unwrap_or_else(|status| panic!("SetKey {n}: {status:?}"));
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        load
    }

    /// Waits until each has made some more calls.
    pub(crate) async fn goes_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        until("calls go on", async || {
            (self.calls.load(Ordering::Relaxed) >= before + 20 || self.tasks.is_empty())
                .then_some(())
        })
        .await;
    }

    /// Stops; panics if a call failed. Returns the number of calls.
    pub(crate) async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        self.calls.load(Ordering::Relaxed)
    }
}
