//! The deployment that all replicas of the run share: one PostgreSQL, one KMS key on moto, and the settings.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use byokd::{app_state::AppState, config::Config, domain::clock::Clock};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    catalog::CATALOG,
    postgres::{Postgres, service},
    site::pinned,
};

pub(crate) struct Deployment {
    pub(crate) postgres: Postgres,
    /// The command that pins a replica to the first processor.
    pub(crate) under: Vec<String>,
    /// The one that leaves it all of them.
    pub(crate) everywhere: Vec<String>,
    kms_key: String,
    /// Where all replicas find the audit stream's key.
    folder: TempDir,
}

impl Deployment {
    pub(crate) async fn new() -> Self {
        let all = std::thread::available_parallelism().unwrap().get() - 1;
        let everywhere = ["taskset", "-c", &format!("0-{all}")]
            .map(str::to_owned)
            .to_vec();
        let (under, folder) = (pinned(), tempfile::tempdir().unwrap());
        let key = format!("{}{}\n", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut file = OpenOptions::new();
        file.create_new(true).write(true).mode(0o600);
        let mut file = file.open(folder.path().join("audit.key")).unwrap();
        file.write_all(key.as_bytes()).unwrap();
        Self {
            postgres: Postgres::start().await,
            under,
            everywhere,
            kms_key: create_key().await,
            folder,
        }
    }

    /// What lies in a replica's folder. It keeps so many workspaces in memory.
    pub(crate) fn files(&self, database: &str, workspaces: usize) -> Vec<(&'static str, String)> {
        vec![
            ("catalog.toml", CATALOG.to_owned()),
            (
                "byokd.toml",
                self.config(database, workspaces, "catalog.toml", "audit.log"),
            ),
        ]
    }

    fn config(&self, database: &str, workspaces: usize, catalog: &str, audit: &str) -> String {
        format!(
            "catalog.file = '{catalog}'\naudit.mode = 'buffered'\naudit.file = '{audit}'\n\
             audit.key_file = '{}'\n\
             egress.loopback_http = true\nserver.shutdown_delay_ms = 0\nlimits.workspaces = {workspaces}\n\
             kms.key = '{}'\nkms.endpoint_url = '{}'\ndatabase.url = '{}'\n",
            self.folder.path().join("audit.key").display(),
            self.kms_key,
            service("BYOKD_TEST_MOTO"),
            self.postgres.url(database),
        )
    }

    /// Everything that byokd is made of, on the database `scale`, in this process.
    pub(crate) async fn open(&self, folder: &Path) -> Arc<AppState> {
        let place = |name: &str| folder.join(name).display().to_string();
        fs::write(folder.join("catalog.toml"), CATALOG).unwrap();
        let text = self.config("scale", 1_000, &place("catalog.toml"), &place("audit.log"));
        let mut config: Config = toml::from_str(&text).unwrap();
        config.server.data_dir = folder.join("data");
        byokd::server::open(&config, Clock::system()).await.unwrap()
    }
}

/// A new KMS key; its ARN.
async fn create_key() -> String {
    let answer = reqwest::Client::new()
        .post(service("BYOKD_TEST_MOTO"))
        .header("x-amz-target", "TrentService.CreateKey")
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDSYNTHETIC/20300101/us-east-1/kms/aws4_request",
        )
        .body("{}")
        .send()
        .await
        .unwrap();
    let created: serde_json::Value = answer.json().await.unwrap();
    created["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}
