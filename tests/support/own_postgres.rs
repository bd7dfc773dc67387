//! PostgreSQL servers of a test's own, which it stops, breaks and restores.

mod programs;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use url::Url;

use self::programs::{as_postgres, as_user, children, copy, folder_for_postgres, run, signal};
use super::{
    postgres::{service, with_database},
    process::free_port,
    wait::until,
};

/// A server of a test's own, with the shared one's users, passwords, settings and certificate. It ends with the value.
///
/// The kernel ends it, too, with the thread that started it: start it in the test's own thread, not in a blocking task.
pub(crate) struct OwnPostgres {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    paused: Vec<u32>,
}

/// A data folder as it was.
pub(crate) struct Copy(tempfile::TempDir);

impl OwnPostgres {
    /// On a copy of a data folder that is created once a run: every such server has the same identity.
    pub(crate) async fn start() -> Self {
        let template = PathBuf::from(service("BYOKD_TEST_POSTGRES_TEMPLATE"));
        let folder = folder_for_postgres();
        copy(&template, &folder.path().join("data"));
        Self::on(folder).await
    }

    /// The same on a new data folder: a server with an identity (`system_identifier`) of its own.
    pub(crate) async fn start_as_another() -> Self {
        let template = PathBuf::from(service("BYOKD_TEST_POSTGRES_TEMPLATE"));
        let folder = folder_for_postgres();
        let data = folder.path().join("data");
        run(as_postgres("initdb")
            .args([
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            // The settings that are copied below are those of small segments.
            .args(["--wal-segsize=1", "--no-sync", "-D"])
            .arg(&data));
        for file in ["postgresql.conf", "pg_hba.conf", "server.crt", "server.key"] {
            copy(&template.join(file), &data.join(file));
        }
        let url: Url = service("BYOKD_TEST_POSTGRES").parse().unwrap();
        let password = url.password().unwrap();
        let sql = folder.path().join("sql");
        let commands = format!(
            "CREATE ROLE byokd LOGIN CREATEDB PASSWORD '{password}';\nALTER ROLE postgres PASSWORD '{password}';\n\
             CREATE DATABASE byokd OWNER byokd;\n"
        );
        fs::write(&sql, commands).unwrap();
        let sql = File::open(sql).unwrap();
        run(as_postgres("postgres")
            .args(["--single", "-D"])
            .arg(&data)
            .arg("postgres")
            .stdin(sql));
        Self::on(folder).await
    }

    async fn on(folder: tempfile::TempDir) -> Self {
        let mut own = Self {
            folder,
            port: free_port(),
            server: None,
            paused: Vec::new(),
        };
        own.start_again().await;
        own
    }

    /// The database `byokd`, as its owner.
    pub(crate) fn url(&self) -> String {
        self.url_as("BYOKD_TEST_POSTGRES", "byokd")
    }

    /// The database `byokd`, as the superuser.
    pub(crate) fn admin_url(&self) -> String {
        self.url_as("BYOKD_TEST_POSTGRES_ADMIN", "byokd")
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn url_as(&self, variable: &str, database: &str) -> String {
        let mut url: Url = service(variable).parse().unwrap();
        url.set_port(Some(self.port)).unwrap();
        with_database(url.as_str(), database)
    }

    /// A connection of the superuser; close it before an orderly stop of the server.
    pub(crate) async fn admin(&self) -> DatabaseConnection {
        Database::connect(self.admin_url()).await.unwrap()
    }

    /// All its data, and its log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it on its port, and waits until it serves.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.server.is_none(), "it runs");
        let said = self.folder.path().join("said");
        let command = as_postgres("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&said)
                    .unwrap(),
            )
            .spawn();
        let pid = command.as_ref().unwrap().id().to_string();
        let server = self.server.insert(command.unwrap());
        let state = self.folder.path().join("data/postmaster.pid");
        until("PostgreSQL serves", async || {
            if let Some(status) = server.try_wait().unwrap() {
                panic!(
                    "PostgreSQL ended with {status}: {}",
                    fs::read_to_string(&said).unwrap()
                );
            }
            // PostgreSQL's own state: the first line is the process, the eighth its status. A killed one left
            // the file.
            let state = fs::read_to_string(&state).ok()?;
            let lines: Vec<&str> = state.lines().collect();
            (lines.first() == Some(&pid.as_str()) && lines.get(7)?.starts_with("ready"))
                .then_some(())
        })
        .await;
    }

    /// As an administrator stops it: open transactions are rolled back, connections closed, everything
    /// written.
    pub(crate) async fn stop_fast(&mut self) {
        self.stop("INT").await;
    }

    /// As if it had crashed: nothing is written any more, and the next start recovers from the log.
    pub(crate) async fn stop_immediate(&mut self) {
        self.stop("QUIT").await;
    }

    async fn stop(&mut self, with: &str) {
        self.resume();
        let mut server = self.server.take().expect("it runs");
        signal(with, &[server.id()]);
        until("PostgreSQL ends", async || server.try_wait().unwrap()).await;
    }

    /// Copies the current data; a running server is stopped for it and started again.
    pub(crate) async fn copy(&mut self) -> Copy {
        let running = self.server.is_some();
        if running {
            self.stop_fast().await;
        }
        let folder = folder_for_postgres();
        copy(&self.data(), &folder.path().join("data"));
        if running {
            self.start_again().await;
        }
        Copy(folder)
    }

    /// Goes back to the copy and starts: same server, same timeline, an earlier day.
    pub(crate) async fn restore(&mut self, earlier: &Copy) {
        if self.server.is_some() {
            self.stop_immediate().await;
        }
        run(Command::new("rm").arg("-rf").arg(self.data()));
        copy(&earlier.0.path().join("data"), &self.data());
        self.start_again().await;
    }

    /// Restarts as a standby and makes it the primary: the next timeline of the same server, as after a failover.
    pub(crate) async fn fail_over(&mut self) {
        if self.server.is_some() {
            self.stop_fast().await;
        }
        run(as_user("touch").arg(self.data().join("standby.signal")));
        self.start_again().await;
        run(as_postgres("pg_ctl")
            .args(["promote", "--wait", "--silent", "-D"])
            .arg(self.data()));
    }

    /// Freezes every process of it (SIGSTOP): connections stay open and nothing answers.
    pub(crate) fn pause(&mut self) {
        let server = self.server.as_ref().expect("it runs").id();
        // The parent first: a stopped process forks no other.
        signal("STOP", &[server]);
        self.paused = children(server);
        self.paused.push(server);
        signal("STOP", &self.paused);
    }

    /// Ends [`Self::pause`].
    pub(crate) fn resume(&mut self) {
        signal("CONT", &std::mem::take(&mut self.paused));
    }

    /// Limits the size of its files, as if the disk were full; `None`: no limit. For its present and future
    /// processes.
    pub(crate) fn limit_files(&self, bytes: Option<u32>) {
        let Some(server) = self.server.as_ref().map(Child::id) else {
            return;
        };
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // The parent first: the limit is inherited by the processes that it starts.
        for process in std::iter::once(server).chain(children(server)) {
            // A process that has ended meanwhile is no error.
            let _ = as_user("prlimit")
                .args(["--pid", &process.to_string(), &format!("--fsize={limit}:")])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Whether transactions are read-only by default, from now on, in open connections too. A primary that
    /// became a standby looks like this to a writer.
    pub(crate) async fn set_read_only(&self, read_only: bool) {
        let admin = self.admin().await;
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {read_only}");
        admin.execute_unprepared(&sql).await.unwrap();
        admin
            .execute_unprepared("SELECT pg_reload_conf()")
            .await
            .unwrap();
        // The reload is only a signal: a connection made afterwards may still start with the old setting.
        let set = format!(
            "SELECT (current_setting('default_transaction_read_only')::bool = {read_only})::int::bigint"
        );
        until("the setting is in force", async || {
            (super::rows::number(&admin, &set).await == 1).then_some(())
        })
        .await;
        admin.close().await.unwrap();
    }

    /// Closes every client's connection from the server's side; returns their number.
    pub(crate) async fn terminate_backends(&self) -> i64 {
        let admin = self.admin().await;
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let ended = super::rows::number(&admin, sql).await;
        admin.close().await.unwrap();
        ended
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.resume();
        if let Some(mut server) = self.server.take() {
            signal("QUIT", &[server.id()]);
            let _ = server.wait();
        }
    }
}
