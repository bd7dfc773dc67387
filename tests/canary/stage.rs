//! The real binary with all logs on, and the files that it leaves on the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use byokd::{
    contract::v1::platform_service_client::PlatformServiceClient,
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{MintRequest, Signer, mint},
};
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::captured::Captured;
use crate::support::{
    FakeKms, OtlpSink, Process, Site,
    byokd::{Keys, Platform},
    postgres::service,
    requests::Bearer,
};

/// A byokd over a fake KMS, and its provider.
pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) kms: FakeKms,
    pub(super) process: Process,
    log: PathBuf,
    sink: OtlpSink,
}

impl Stage {
    /// A process that logs at TRACE in this format, over the site's existing data.
    pub(super) async fn start(site: Site, kms: FakeKms, format: &str) -> Self {
        let (log, sink) = (site.path(&format!("log-{format}")), OtlpSink::start().await);
        // The shell writes the output of the process, of either kind, to one file.
        let mut serve = Command::new("sh");
        let plain = site.serve();
        serve
            .args(["-c", "exec \"$0\" \"$@\" >\"$CANARY_LOG\" 2>&1"])
            .arg(plain.get_program())
            .args(plain.get_args());
        for (name, value) in plain.get_envs() {
            serve.env(name, value.unwrap());
        }
        serve
            .env("CANARY_LOG", &log)
            .env("BYOKD__LOG__FILTER", "trace")
            .env("BYOKD__LOG__FORMAT", format)
            .env("BYOKD__CHECKS__DEADLINE_MS", "2000")
            .env("BYOKD__CHECKS__CONDEMN_AFTER", "2")
            .env("BYOKD__CHECKS__CONDEMN_OVER_MINUTES", "0")
            .env("BYOKD__KMS__KEY", "alias/byokd")
            .env("BYOKD__KMS__REGION", "eu-central-1")
            .env("BYOKD__KMS__ENDPOINT_URL", kms.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "AKIDSYNTHETIC")
            .env("AWS_SECRET_ACCESS_KEY", "SECRET-OF-THE-TEST")
            // Every call is traced.
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .envs(std::env::var_os("BYOKD_MUTANT").map(|mutant| ("BYOKD_MUTANT", mutant)))
            .current_dir(site.path(""));
        let process = site.start_as(serve).await;
        Self {
            site,
            kms,
            process,
            log,
            sink,
        }
    }

    /// Ends the process; the database and the KMS stay.
    pub(super) async fn end(mut self, captured: &mut Captured) -> (Site, FakeKms) {
        let metrics = reqwest::get(format!("{}/metrics", self.admin_address()))
            .await
            .unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(
            metrics.contains("rpc_server_call_duration_seconds_count"),
            "{metrics}"
        );
        captured.add("metrics", metrics);
        self.process.terminate();
        self.process.ended().await;
        let log = fs::read(&self.log).unwrap();
        let text = String::from_utf8_lossy(&log);
        assert!(
            text.contains("h2::") && text.contains("hyper") && text.contains("DEBUG"),
            "it does not log what it could"
        );
        captured.add(format!("log {}", self.log.display()), log);
        let spans = self.sink.spans();
        for name in [
            "byok.v1.KeyService/SetKey",
            "check_key",
            "load_holder",
            "commit_change",
        ] {
            assert!(
                spans.iter().any(|span| span.name == name),
                "no span {name} has left"
            );
        }
        captured.add("spans and metrics by OTLP", self.sink.bytes());
        (self.site, self.kms)
    }

    pub(super) fn token(&self, role: Role, workspace: &str) -> String {
        let request = MintRequest {
            subject: "canary".to_owned(),
            roles: vec![role],
            workspace: workspace.to_owned(),
            purposes: vec![PurposeName::reply()],
        };
        mint(
            &Signer::in_folder(&self.site.data()).unwrap(),
            &request,
            &Clock::system(),
        )
        .unwrap()
    }

    /// The address of the health service, which byokd prints on standard output.
    pub(super) fn admin_address(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap();
        let (_, rest) = log.split_once("(health on ").unwrap();
        format!("http://{}", rest.split(')').next().unwrap())
    }

    pub(super) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.process.address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(super) async fn keys(&self, role: Role) -> Keys {
        self.process.keys(role).await
    }

    pub(super) async fn operator(&self) -> Platform {
        let bearer = Bearer::new(&self.token(Role::Operator, "*"));
        PlatformServiceClient::new(InterceptedService::new(self.channel().await, bearer))
    }

    /// Runs a command of byokd with the key on its standard input, and captures the output.
    pub(super) fn command(&self, captured: &mut Captured, arguments: &[&str], input: &str) {
        let file = self.site.path("input");
        fs::write(&file, input).unwrap();
        let output = self
            .site
            .command(arguments)
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        fs::remove_file(&file).unwrap();
        // Not all of the arguments: one of them may be the key.
        let way = format!("byokd {}", arguments[..2.min(arguments.len())].join(" "));
        captured.add(format!("{way}: standard output"), output.stdout);
        captured.add(format!("{way}: standard error"), output.stderr);
    }
}

/// Everything on the machine: the dumped database, and every file of the data folder.
pub(super) fn left_behind(site: &Site, captured: &mut Captured) {
    files(&site.data(), captured);
    if site.database_url().starts_with("postgres") {
        let program = Path::new(&service("BYOKD_TEST_POSTGRES_BIN")).join("pg_dump");
        let dump = Command::new(program)
            .arg("--dbname")
            .arg(site.database_url())
            .output()
            .unwrap();
        assert!(
            dump.status.success(),
            "{}",
            String::from_utf8_lossy(&dump.stderr)
        );
        assert!(dump.stdout.len() > 10_000);
        captured.add("pg_dump", dump.stdout);
    }
}

fn files(folder: &Path, captured: &mut Captured) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, captured);
        } else {
            captured.add(format!("file {}", path.display()), fs::read(&path).unwrap());
        }
    }
}
