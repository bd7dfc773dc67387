//! Other programs cannot read a running byokd, and a killed one leaves no core dump.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
};

use crate::support::{Site, is_root, until};

/// `command`, started by a shell that allows cores of any size that the machine allows.
fn with_cores(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -S -c \"$(ulimit -H -c)\" && exec \"$0\" \"$@\"",
    ]);
    carry(command, &mut shell);
    shell
}

/// `command` without privileges, so that root is a user like any other: only file permissions count.
fn unprivileged(command: &Command) -> Command {
    let mut plain = Command::new("setpriv");
    // Only root has privileges to drop.
    if is_root() {
        plain.args(["--bounding-set=-all", "--inh-caps=-all"]);
    }
    plain.arg("--no-new-privs");
    carry(command, &mut plain);
    plain
}

fn carry(command: &Command, into: &mut Command) {
    into.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        into.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        into.env(name, value.unwrap());
    }
}

/// Whether another program of the same user may read this file of that process.
fn readable(pid: u32, file: &str) -> bool {
    let mut cat = Command::new("cat");
    cat.arg(format!("/proc/{pid}/{file}"));
    unprivileged(&cat)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// A program that hides nothing; it ends with the value.
struct Plain(Child);

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_byokd_leaves_no_core_dump() {
    let site = Site::new().await;
    let mut process = site.start_as(with_cores(&site.serve())).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "soft and hard: {core}");
    process.abort();
    let status = process.ended().await;
    assert_eq!(status.signal(), Some(6), "{status}");
    assert!(!status.core_dumped());
}

/// No debugger can attach either: that needs the same right, and more.
#[tokio::test]
async fn other_programs_of_the_same_user_cannot_read_byokd() {
    let plain = Plain(
        unprivileged(Command::new("sleep").arg("600"))
            .spawn()
            .unwrap(),
    );
    until("it is started", async || {
        let name = fs::read_to_string(format!("/proc/{}/comm", plain.0.id())).unwrap();
        (name == "sleep\n").then_some(())
    })
    .await;
    let site = Site::new().await;
    let process = site.start_as(unprivileged(&site.serve())).await;
    for file in ["environ", "maps", "auxv"] {
        assert!(
            readable(plain.0.id(), file),
            "{file} of a program that hides nothing"
        );
        assert!(!readable(process.id(), file), "{file} of byokd");
    }
}
