//! A PostgreSQL of the run's own, which counts its statements.
//!
//! The data folder, users and certificate are those that `tests/services.sh` made; `SETTINGS` is what differs.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use url::Url;

const SETTINGS: &str = "
shared_preload_libraries = 'pg_stat_statements'
shared_buffers = 512MB
max_wal_size = 4GB
";
/// How long it may take to start.
const STARTS: Duration = Duration::from_secs(60);

pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    server: Child,
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        let template = PathBuf::from(service("BYOKD_TEST_POSTGRES_TEMPLATE"));
        let folder = tempfile::Builder::new()
            .prefix("scale-")
            .tempdir_in(template.parent().unwrap())
            .unwrap();
        let data = folder.path().join("data");
        run(Command::new("cp").arg("-a").args([&template, &data]));
        let mut settings = File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        settings.write_all(SETTINGS.as_bytes()).unwrap();
        let user = service("BYOKD_TEST_POSTGRES_USER");
        if !user.is_empty() {
            run(Command::new("chown").arg(&user).arg(folder.path()));
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = as_user(&user, "postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut postgres = Self {
            folder,
            port,
            server,
        };
        postgres.serves(&data).await;
        for database in ["scale", "steady"] {
            let sql = format!("CREATE DATABASE {database} OWNER byokd");
            execute(&mut postgres.admin("postgres").await, &sql).await;
        }
        let counts = "CREATE EXTENSION pg_stat_statements";
        execute(&mut postgres.admin("scale").await, counts).await;
        postgres
    }

    /// Waits for its own word: the eighth line of its file is what it does.
    async fn serves(&mut self, data: &Path) {
        let began = Instant::now();
        loop {
            let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            if state
                .lines()
                .nth(7)
                .is_some_and(|word| word.starts_with("ready"))
            {
                return;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let ended = self.server.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < STARTS,
                "PostgreSQL did not start: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A database as byokd's own user.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_as("BYOKD_TEST_POSTGRES", database)
    }

    /// A connection of the superuser's.
    pub(crate) async fn admin(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.url_as("BYOKD_TEST_POSTGRES_ADMIN", database))
            .await
            .unwrap()
    }

    fn url_as(&self, variable: &str, database: &str) -> String {
        let mut url: Url = service(variable).parse().unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_path(database);
        url.into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its data are thrown away, so it need not write them.
        let process = rustix::process::Pid::from_child(&self.server);
        let _gone = rustix::process::kill_process(process, rustix::process::Signal::QUIT);
        let _reaped = self.server.wait();
    }
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

/// What tests/services.sh exports.
pub(crate) fn service(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `tests/services.sh cargo bench --bench scale`, which starts the services")
    })
}

/// A program of PostgreSQL's, as its user; it ends with this one.
fn as_user(user: &str, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    if !user.is_empty() {
        command.args([
            &format!("--reuid={user}"),
            &format!("--regid={user}"),
            "--init-groups",
        ]);
    }
    command
        .args(["--pdeathsig", "QUIT"])
        .arg(Path::new(&service("BYOKD_TEST_POSTGRES_BIN")).join(program));
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
