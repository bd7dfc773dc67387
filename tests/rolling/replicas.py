"""Replicas of byokd as a cluster runs them: one database, one KMS key, a new address for each that starts."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import boto3

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))
from catalog import catalog  # noqa: E402
from name_server import NameServer  # noqa: E402
from report import Failed, wait_until  # noqa: E402
from servers import Process  # noqa: E402

REGION = "eu-central-1"
# How long a replica may take to become ready: it asks the KMS 256 times, on a machine that does much else.
READY_WITHIN = 120
SIGNER = "token-signer"


class Cluster:
    """The state that all replicas share, and their DNS name."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        self.names = NameServer()
        self.replicas: list[Replica] = []
        self._started = 0
        self.port, self.admin_port = free_ports()
        kms = boto3.client("kms", region_name=REGION, endpoint_url=os.environ["BYOKD_TEST_MOTO"])
        audit_key = folder / "audit.key"
        audit_key.write_bytes(f"{os.urandom(32).hex()}\n".encode())
        audit_key.chmod(0o600)
        catalog_file = folder / "catalog.toml"
        # An address without a listener: the key is stored unverified, and no request leaves this machine.
        catalog_file.write_text(catalog("http://127.0.0.1:1/v1", "http://127.0.0.1:1"))
        self.environment = {
            "BYOKD__CATALOG__FILE": str(catalog_file),
            "BYOKD__EGRESS__LOOPBACK_HTTP": "true",
            "BYOKD__DATABASE__URL": new_database(),
            "BYOKD__KMS__KEY": kms.create_key()["KeyMetadata"]["Arn"],
            "BYOKD__KMS__REGION": REGION,
            "BYOKD__KMS__ENDPOINT_URL": os.environ["BYOKD_TEST_MOTO"],
            # moto answers faster than this anyway.
            "BYOKD__KMS__CALLS_PER_SECOND": "1000",
            "BYOKD__AUDIT__KEY_FILE": str(audit_key),
            # Callers watch each replica's health, so they see at once that it is ending.
            "BYOKD__SERVER__SHUTDOWN_DELAY_MS": "1000",
            # Connections come and go by their age, too, while replicas do.
            "BYOKD__LIMITS__CONNECTION_AGE_SECONDS": "10",
        }

    def start(self) -> Replica:
        """A new replica, at an unused address; in the DNS once it is ready."""
        self._started += 1
        replica = Replica(self, self._started)
        self.replicas.append(replica)
        replica.wait_until_ready()
        self.names.add(replica.address)
        return replica

    def terminate(self, replica: Replica) -> float:
        """As a cluster does: out of the DNS and SIGTERM, at the same time. Returns how long it took to end."""
        self.names.remove(replica.address)
        return replica.terminate()

    def stop(self) -> None:
        for replica in self.replicas:
            replica.process.stop()

    def token(self, role: str, workspace: str) -> str:
        command = ["token", "--role", role, "--workspace", workspace, "--data-dir", str(self.replicas[0].data)]
        return self.run(*command).strip()

    def set_key(self, workspace: str, key: str) -> None:
        """The workspace's own key, untested, and the toggle on."""
        server, token = f"http://{self.replicas[0].address}:{self.port}", self.folder / "admin.token"
        token.write_text(self.token("admin", workspace))
        options = ["--enable-byo", "--allow-unverified", "--server", server, "--token-file", str(token)]
        self.run("key", "set", workspace, "openai", *options, stdin=key)

    def run(self, *arguments: str, stdin: str = "") -> str:
        command = [str(self.binary), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, cwd=self.folder)
        if done.returncode != 0:
            raise Failed(f"byokd {' '.join(arguments)}: {done.stderr}")
        return done.stdout


class Replica:
    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.address = f"127.1.{number // 250}.{number % 250 + 1}"
        self.admin = f"{self.address}:{cluster.admin_port}"
        self.data = cluster.folder / f"replica-{number}"
        self.data.mkdir()
        # A token must hold at every replica: the first one makes the embedded signer, the others get a copy.
        if cluster.replicas:
            shutil.copy(cluster.replicas[0].data / SIGNER, self.data)
        listen = ["--listen", f"{self.address}:{cluster.port}", "--admin-listen", self.admin]
        command = [str(cluster.binary), "serve", "--data-dir", str(self.data), *listen]
        self.process = Process(f"replica-{number}", command, cluster.folder, cluster.environment)

    def wait_until_ready(self) -> None:
        """By the command that a container engine runs."""
        command = [str(self.cluster.binary), "healthcheck", "--admin", self.admin]

        def ready() -> bool:
            return self.process.alive() and subprocess.run(command, capture_output=True, timeout=30).returncode == 0

        wait_until(ready, READY_WITHIN, f"{self.process.name} to be ready")

    def terminate(self) -> float:
        started = os.times().elapsed
        code = self.process.stop()
        if code != 0:
            raise Failed(f"{self.process.name} ended with {code}:\n{self.process.output()[-4000:]}")
        return os.times().elapsed - started

    def granted(self, workspace: str) -> int:
        """How many calls this replica answered with a credential, by its audit stream."""
        # The text after the last line break is incomplete.
        *whole, _ = (self.data / "audit.jsonl").read_text().split("\n")
        lines = map(json.loads, whole)
        return sum(line["event"] == "resolved" and line["workspace"] == workspace for line in lines)


def new_database() -> str:
    """The URL of a new, empty database on the shared server. It lasts as long as the server."""
    url, name = os.environ["BYOKD_TEST_POSTGRES"], f"rolling_{uuid.uuid4().hex}"
    psql = Path(os.environ["BYOKD_TEST_POSTGRES_BIN"]) / "psql"
    subprocess.run([psql, f"{url}/byokd", "-qXc", f"CREATE DATABASE {name}"], check=True, timeout=60)
    return f"{url}/{name}?sslmode=verify-full&sslrootcert={os.environ['BYOKD_TEST_POSTGRES_CA']}"


def free_ports() -> tuple[int, int]:
    """Two ports below those that the kernel gives out, free on every address of the loopback network."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("0.0.0.0", port))
                second.bind(("0.0.0.0", port + 1))
            except OSError:
                continue
            return port, port + 1
