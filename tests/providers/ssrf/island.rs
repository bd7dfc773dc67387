//! An island: a network namespace in which every address leads to this very process, so that it receives
//! every connection and every DNS query.
//!
//! The test runs again in its own namespaces (network and mounts; for a user without rights also users, in
//! which it is root). The machine's network and files are not touched.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::support::is_root;

const INSIDE: &str = "BYOKD_TEST_ISLAND";

const SETTLE: &str = r#"
    set -e
    ip link set lo up
    ip route add local 0.0.0.0/0 dev lo
    ip -6 route add local ::/0 dev lo
    for name in resolv.conf nsswitch.conf hosts; do
        if [ -e "/etc/$name" ]; then mount --bind "$0/$name" "$(readlink -f "/etc/$name")"; fi
    done
    for cache in /run/nscd /var/run/nscd; do
        if [ -e "$cache" ]; then mount --bind "$0/empty" "$cache"; fi
    done
    exec "$@"
"#;

/// Outside: runs the test of this name on an island, and returns true: done. On the island: returns false:
/// run the test.
pub(super) fn settled_for(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n",
        ),
        ("nsswitch.conf", "hosts: files dns\n"),
        (
            "hosts",
            "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
        ),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("empty")).unwrap();
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.arg("--map-root-user");
    }
    let outcome = unshare
        .args(["--mount", "--net", "sh", "-c", SETTLE])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("BYOKD_TEST_STORE", "sqlite")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&outcome.stdout),
        String::from_utf8_lossy(&outcome.stderr),
    );
    assert!(
        outcome.status.success(),
        "on an island of its own (unshare, ip, mount):\n{out}\n{err}"
    );
    assert!(
        out.contains("1 passed"),
        "{test} did not run on the island:\n{out}\n{err}"
    );
    for (_, figures) in out.lines().filter_map(|line| line.split_once("SSRF: ")) {
        println!("SSRF: {figures}");
    }
    true
}
