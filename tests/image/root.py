"""byokd in a root with only the image's files, as an unprivileged user."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import dockerfile
from report import expect, wait_until
from servers import Process

USER = 65532
# The contents of gcr.io/distroless/cc: the C library and the compiler's, beside certificates and a list of users.
BASE = {"ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libgcc_s.so.1"}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def lay_base(root: Path) -> None:
    """The base's files, from this machine: the libraries that the binary links, which the base must have."""
    binary = root / "usr/local/bin/byokd"
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True, timeout=60).stdout
    libraries = [Path(path) for path in re.findall(r"(/\S+) \(0x", linked)]
    foreign = {library.name for library in libraries} - BASE
    expect(bool(libraries) and not foreign, f"it links {len(libraries)} libraries, all in the base", sorted(foreign))
    for file in [*libraries, CERTIFICATES]:
        target = root / str(file).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.resolve(), target)


def own(folder: Path) -> None:
    """COPY --chown, as far as this user may: in a namespace of one user, everything is that user's anyway."""
    if os.geteuid() == 0:
        os.chown(folder, USER, USER)


def inside(root: Path, command: list[str], environment: dict[str, str]) -> list[str]:
    """The command line that runs `command` in the root, as the image's user, in this environment alone."""
    namespace = ["unshare", f"--root={root}", f"--wd={dockerfile.only('WORKDIR')}"]
    if os.geteuid() == 0:
        namespace += [f"--setuid={USER}", f"--setgid={USER}"]
    else:
        namespace += ["--user", f"--map-user={USER}", f"--map-group={USER}"]
    assignments = [f"{name}={value}" for name, value in environment.items()]
    return ["env", "--ignore-environment", f"PATH={os.environ['PATH']}", *assignments, *namespace, *command]


def serve(root: Path, folder: Path, image_environment: dict[str, str], healthcheck: list[str]) -> None:
    environment = {
        **image_environment,
        # Ports of its own beside whatever else runs on this machine.
        "BYOKD__SERVER__LISTEN": "127.0.0.1:0",
        "BYOKD__SERVER__ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
    }
    program, laid = healthcheck[0], set(root.rglob("*"))

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        line = inside(root, command, environment)
        return subprocess.run(line, capture_output=True, text=True, timeout=60)

    version = run([program, "--version"])
    expect(version.returncode == 0, f"it starts: {version.stdout.strip()}", version.stderr)
    before = run(healthcheck)
    expect(before.returncode == 2, "HEALTHCHECK says unhealthy while nothing runs", before.stderr)
    byokd = Process("image", inside(root, [program, "serve"], environment), folder)
    try:
        wait_until(lambda: byokd.alive() and run(healthcheck).returncode == 0, 60, "the image to be healthy")
        expect(True, "HEALTHCHECK says healthy once it serves")
        resolved = run([program, "resolve", "acme", "--model", "local-llama"])
        expect("UNMETERED" in resolved.stdout, "it answers, with what it wrote to its one folder", resolved.stderr)
    finally:
        code = byokd.stop()
    expect(code == 0, "it ends on SIGTERM with exit code 0", (code, byokd.output()))
    written = set(root.rglob("*")) - laid
    outside = [path for path in written if not path.is_relative_to(root / "var/lib/byokd")]
    expect(bool(written) and not outside, f"it wrote {len(written)} files there, and nowhere else", outside)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
