//! The server under test, as a process in a folder of its own.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Calls at once that the server allows.
pub(crate) const CALLS: usize = 256;

pub(crate) struct Site {
    folder: TempDir,
    server: Child,
    pub(crate) target: Target,
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
        self.address.trim_start_matches("http://")
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let server = Command::new(env!("CARGO_BIN_EXE_byokd"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env("BYOKD__LIMITS__CALLS", CALLS.to_string())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let address = loop {
            match fs::read_to_string(data.join("server")) {
                Ok(address) if address.ends_with('\n') => break address.trim().to_owned(),
                _ => assert!(began.elapsed() < Duration::from_secs(60), "the server did not start"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut site = Self { folder, server, target: Target { address, ..Target::default() } };
        site.target.token = site.mint("resolver");
        site
    }

    fn mint(&self, role: &str) -> String {
        let minted = Command::new(env!("CARGO_BIN_EXE_byokd"))
            .args(["token", "--role", role, "--role", "viewer", "--workspace", "*", "--data-dir"])
            .arg(self.folder.path().join("data"))
            .output()
            .unwrap();
        assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
        String::from_utf8(minted.stdout).unwrap().trim().to_owned()
    }

    /// What the server has in memory, in MB.
    pub(crate) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }

    /// The most that it has during this time.
    pub(crate) async fn most_memory(&self, during: Duration) -> f64 {
        let began = Instant::now();
        let mut most = self.memory();
        while began.elapsed() < during {
            tokio::time::sleep(Duration::from_millis(50)).await;
            most = most.max(self.memory());
        }
        most
    }

    /// What it has once the flood's connections are gone.
    pub(crate) async fn settled_memory(&self) -> f64 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.memory()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The process that this one started, and no other.
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}
