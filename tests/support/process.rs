//! The real binary as a process of its own, over a data folder that outlives it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use byokd::{
    audit::ChainKey,
    contract::v1::key_service_client::KeyServiceClient,
    domain::{caller::Role, clock::Clock, names::PurposeName},
    identity::{MintRequest, Signer, mint},
};
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use super::{FakeProvider, byokd::Keys, catalog::catalog, requests::Bearer, wait::until};

/// Whether the tests run as root, which may do more than other users.
pub(crate) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0\t"))
}

/// The byokd under test; tests/mutants.py names another, which must fail.
fn binary() -> PathBuf {
    std::env::var_os("BYOKD_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_byokd").into(), PathBuf::from)
}

/// A folder with the configuration and the data of a process.
pub(crate) struct Site {
    pub(crate) provider: FakeProvider,
    folder: tempfile::TempDir,
    database_url: String,
}

impl Site {
    /// An empty site, whose catalog names a provider that accepts every key.
    pub(crate) async fn new() -> Self {
        Self::on(super::store::is_postgres()).await
    }

    /// The same on SQLite, whatever store this run is on.
    pub(crate) async fn on_sqlite() -> Self {
        Self::on(false).await
    }

    /// A site whose database exists, and is empty.
    pub(crate) async fn with_an_empty_database() -> Self {
        let site = Self::new().await;
        if !super::store::is_postgres() {
            fs::create_dir(site.data()).unwrap();
            fs::write(site.data().join("byokd.db"), "").unwrap();
        }
        site
    }

    async fn on(postgres: bool) -> Self {
        let provider = FakeProvider::start().await;
        provider.models_ok(&["small-2030", "haiku-1"]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("catalog.toml"), catalog(&provider)).unwrap();
        ChainKey::create(&folder.path().join("audit.key")).unwrap();
        let database_url = if postgres {
            super::store::empty(folder.path()).await
        } else {
            // Where byokd puts it by default.
            format!("sqlite:{}", folder.path().join("data/byokd.db").display())
        };
        Self {
            provider,
            folder,
            database_url,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The database, as its administrator sees it.
    pub(crate) async fn database(&self) -> sea_orm::DatabaseConnection {
        super::store::connect(&self.database_url).await
    }

    /// `byokd serve` on its own ports, with an empty environment, and limits that no test reaches by
    /// accident.
    pub(crate) fn serve(&self) -> Command {
        self.command(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ])
    }

    /// Any command of byokd, with the same configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("BYOKD__SERVER__DATA_DIR", self.data())
            .env("BYOKD__CATALOG__FILE", self.path("catalog.toml"))
            .env("BYOKD__AUDIT__KEY_FILE", self.path("audit.key"))
            .env("BYOKD__DATABASE__READ_CONNECTIONS", "2")
            .env("BYOKD__DATABASE__WRITE_CONNECTIONS", "2")
            .env("BYOKD__EGRESS__LOOPBACK_HTTP", "true")
            // No balancer routes calls to a test's process.
            .env("BYOKD__SERVER__SHUTDOWN_DELAY_MS", "0")
            .env("BYOKD__CHECKS__PER_WORKSPACE_PER_MINUTE", "1000000")
            .env("BYOKD__CHECKS__PER_PRINCIPAL_PER_MINUTE", "1000000")
            .env("BYOKD__CHECKS__PER_PROVIDER_PER_SECOND", "1000000")
            .current_dir(self.folder.path());
        if self.database_url.starts_with("postgres") {
            command.env("BYOKD__DATABASE__URL", &self.database_url);
        }
        command
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn start(&self) -> Process {
        self.start_as(self.serve()).await
    }

    /// The same, with another command line.
    pub(crate) async fn start_as(&self, command: Command) -> Process {
        // A killed process left an address that is not valid any more.
        let _ = fs::remove_file(self.data().join("server"));
        self.listening(self.spawn(command)).await
    }

    /// Waits until a started process listens.
    pub(crate) async fn listening(&self, mut process: Process) -> Process {
        let address = until("byokd listens", async || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("byokd ended with {status}: {}", process.said());
            }
            fs::read_to_string(self.data().join("server")).ok()
        });
        process.address = address.await.trim().to_owned();
        process
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(&self, command: Command) -> Process {
        self.spawn_with(command, Stdio::null())
    }

    /// The same, with its standard output in a file.
    pub(crate) fn spawn_to(&self, command: Command, file: &Path) -> Process {
        self.spawn_with(command, File::create(file).unwrap().into())
    }

    fn spawn_with(&self, mut command: Command, out: Stdio) -> Process {
        let said = self.path(&format!("said-{}", uuid::Uuid::new_v4()));
        let file = File::create(&said).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(file)
            .spawn()
            .unwrap();
        Process {
            child,
            said,
            data: self.data(),
            address: String::new(),
        }
    }

    /// Starts a command that must fail: exit code 1; returns its message.
    pub(crate) async fn refused(&self, command: Command) -> String {
        let mut process = self.spawn(command);
        let status = process.ended().await;
        let said = process.said();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

/// A running byokd; it ends with the value.
pub(crate) struct Process {
    child: Child,
    said: PathBuf,
    data: PathBuf,
    pub(crate) address: String,
}

impl Process {
    /// Its output on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// The KeyService for a caller of every workspace.
    pub(crate) async fn keys(&self, role: Role) -> Keys {
        let request = MintRequest {
            subject: "tests".to_owned(),
            roles: vec![role],
            workspace: "*".to_owned(),
            purposes: vec![PurposeName::reply()],
        };
        let signer = Signer::in_folder(Path::new(&self.data)).unwrap();
        let token = mint(&signer, &request, &Clock::system()).unwrap();
        let endpoint = Endpoint::from_shared(self.address.clone()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        KeyServiceClient::new(InterceptedService::new(channel, Bearer::new(&token)))
    }

    /// The KeyService for a caller with its own token, or none.
    pub(crate) async fn stranger(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(
            Endpoint::from_shared(self.address.clone())
                .unwrap()
                .connect()
                .await
                .unwrap(),
        )
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// SIGABRT, at which a process leaves a core dump if allowed.
    pub(crate) fn abort(&self) {
        self.signal("-ABRT");
    }

    /// SIGHUP: its audit file was renamed.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// SIGSTOP: it exists and does nothing, as on a machine that is moved to another host.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Limits the size of its files, as on a full disk; `None`: no limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let (id, limit) = (self.id().to_string(), format!("--fsize={limit}:"));
        let status = Command::new("prlimit")
            .args(["--pid", &id, &limit])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("byokd ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the range from which the kernel takes ports for outgoing connections, so that it stays free while
/// the server is stopped.
pub(crate) fn free_port() -> u16 {
    let mut random =
        std::iter::repeat_with(|| 20_000 + (uuid::Uuid::new_v4().as_u128() % 12_000) as u16);
    random
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
