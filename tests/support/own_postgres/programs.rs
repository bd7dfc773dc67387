//! PostgreSQL's programs and processes, run as the user that PostgreSQL wants.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::postgres::service;

/// A folder that PostgreSQL's user may write to; removed with the services at the latest.
pub(super) fn folder_for_postgres() -> tempfile::TempDir {
    let template = PathBuf::from(service("BYOKD_TEST_POSTGRES_TEMPLATE"));
    let folder = tempfile::Builder::new()
        .prefix("own-")
        .tempdir_in(template.parent().unwrap())
        .unwrap();
    let user = service("BYOKD_TEST_POSTGRES_USER");
    if !user.is_empty() {
        run(Command::new("chown").arg(user).arg(folder.path()));
    }
    folder
}

pub(super) fn copy(from: &Path, to: &Path) {
    run(Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([from, to]));
}

/// A program as the user that PostgreSQL runs as; it ends with the thread that starts it.
pub(super) fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let user = service("BYOKD_TEST_POSTGRES_USER");
    let mut command = Command::new("setpriv");
    if !user.is_empty() {
        command.args([
            &format!("--reuid={user}"),
            &format!("--regid={user}"),
            "--init-groups",
        ]);
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program);
    command
}

pub(super) fn as_postgres(program: &str) -> Command {
    as_user(PathBuf::from(service("BYOKD_TEST_POSTGRES_BIN")).join(program))
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A process that has ended meanwhile is no error.
pub(super) fn signal(name: &str, processes: &[u32]) {
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    if !processes.is_empty() {
        let _ = Command::new("kill")
            .arg(format!("-{name}"))
            .args(processes)
            .stderr(Stdio::null())
            .status();
    }
}

pub(super) fn children(parent: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{parent}");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.lines().any(|line| line == parent))
    };
    processes.filter(is_child).collect()
}
