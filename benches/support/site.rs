//! The server under test, as a process in a folder of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a start may take; a server that is looked at instruction by instruction takes long.
const STARTS: Duration = Duration::from_secs(120);

pub(crate) struct Site {
    folder: TempDir,
    server: Child,
    pub(crate) target: Target,
    /// The port of probes and metrics.
    pub(crate) admin: SocketAddr,
    pub(crate) spawned: Instant,
    /// From exec until it listened.
    pub(crate) listening: Duration,
    /// What it used of the processors until then, in seconds.
    pub(crate) processor: f64,
}

/// How a server is started.
#[derive(Default)]
pub(crate) struct Start {
    /// The command and its arguments that run the server, if anything does.
    pub(crate) under: Vec<String>,
    /// What is set by the environment.
    pub(crate) env: Vec<(&'static str, String)>,
    /// What lies in its folder, by name.
    pub(crate) files: Vec<(&'static str, String)>,
}

/// Where to call, and as whom.
#[derive(Clone, Default)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Target {
    /// The address without its scheme.
    pub(crate) fn host(&self) -> &str {
        self.address
            .split_once("://")
            .map_or(&*self.address, |(_, host)| host)
    }
}

impl Site {
    pub(crate) async fn start(start: Start) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        for (name, text) in &start.files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut words = start.under;
        words.push(env!("CARGO_BIN_EXE_byokd").to_owned());
        // One that was free a moment ago.
        let admin = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let spawned = Instant::now();
        let server = Command::new(&words[0])
            .args(&words[1..])
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                &admin.to_string(),
                "--data-dir",
            ])
            .arg(&data)
            .envs(start.env)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let (target, listening) = (Target::default(), Duration::ZERO);
        let mut site = Self {
            folder,
            server,
            target,
            admin,
            spawned,
            listening,
            processor: 0.0,
        };
        site.target.address = loop {
            match fs::read_to_string(data.join("server")) {
                Ok(address) if address.ends_with('\n') => break address.trim().to_owned(),
                _ => assert!(
                    spawned.elapsed() < STARTS && site.server.try_wait().unwrap().is_none(),
                    "the server did not start: {}",
                    site.log()
                ),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        site.listening = spawned.elapsed();
        site.processor = processor(site.id());
        site.target.token = site.mint(&["resolver", "viewer", "admin"]);
        site
    }

    fn mint(&self, roles: &[&str]) -> String {
        let minted = Command::new(env!("CARGO_BIN_EXE_byokd"))
            .args(["token", "--workspace", "*", "--data-dir"])
            .arg(self.folder.path().join("data"))
            .args(roles.iter().flat_map(|role| ["--role", role]))
            .output()
            .unwrap();
        assert!(
            minted.status.success(),
            "{}",
            String::from_utf8_lossy(&minted.stderr)
        );
        String::from_utf8(minted.stdout).unwrap().trim().to_owned()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends it as an operator does, and waits for that.
    pub(crate) fn end(&mut self) {
        let process = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        self.server.wait().unwrap();
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// What the server has in memory, in MB.
    pub(crate) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }
}

/// The servers get the first processor, this program the others. On a single one all share it.
pub(crate) fn pinned() -> Vec<String> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let mut own = sched_getaffinity(None).unwrap();
    if own.count() < 2 {
        println!("one processor for servers and client: the figures are worth less");
        return Vec::new();
    }
    let first = (0..CpuSet::MAX_CPU)
        .find(|processor| own.is_set(*processor))
        .unwrap();
    own.unset(first);
    sched_setaffinity(None, &own).unwrap();
    ["taskset", "-c", &first.to_string()]
        .map(str::to_owned)
        .to_vec()
}

impl Drop for Site {
    fn drop(&mut self) {
        // The process that this one started, and no other.
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}

/// What a process has used of the processors, in seconds (`proc_pid_stat(5)`, fields 14 and 15).
pub(crate) fn processor(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / rustix::param::clock_ticks_per_second() as f64
}
