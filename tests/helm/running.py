"""The chart's pods, run without a cluster: byokd with the arguments, the variables and the files that the manifests give
it, and then the first call, as NOTES.txt shows it. In production over the tests' PostgreSQL and KMS, with a migration by
the Job.

Not here: the kubelet. Kubernetes itself proves that probes, Services and volumes work."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

import boto3

import certificates
import chart
from combinations import CERTIFICATE, DEV

PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


class Pod:
    """A pod's files below a folder of the test's, its ports free ones on loopback."""

    def __init__(self, folder, found, spec, secrets):
        self.folder = folder
        self.port, self.admin = free_port(), free_port()
        (self.container,) = spec["containers"]
        self.environment = {name: os.environ[name] for name in ("PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        for variable in self.container["env"]:
            value = variable.get("value", "from-elsewhere")
            self.environment[variable["name"]] = f"{folder}{value}" if value.startswith("/") else value
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            path = folder / mount["mountPath"][1:]
            path.mkdir(parents=True, exist_ok=True)
            self.fill(path, volumes[mount["name"]], found, secrets)

    def fill(self, path, volume, found, secrets):
        """Writes the files of a ConfigMap or Secret volume, by the names of its items."""
        files = {}
        if "configMap" in volume:
            files = found["ConfigMap", volume["configMap"]["name"]]["data"]
        elif "secret" in volume:
            held = secrets[volume["secret"]["secretName"]]
            items = volume["secret"].get("items") or [{"key": key, "path": key} for key in held]
            files = {item["path"]: held[item["key"]] for item in items}
        for name, text in files.items():
            if name == "byokd.toml":
                text = text.replace('"/', f'"{self.folder}/').replace("0.0.0.0", "127.0.0.1")
                text = text.replace(":50051", f":{self.port}").replace(":9464", f":{self.admin}")
            (path / name).write_text(text)
            (path / name).chmod(0o600)

    def run(self, *arguments):
        return subprocess.run(
            [os.environ["BYOKD_TEST_BINARY"], *arguments], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def serving(self):
        with open(self.folder / "log", "w+") as log:
            server = subprocess.Popen(
                [os.environ["BYOKD_TEST_BINARY"], *self.container["args"]],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                self.wait_until_ready(server)
                yield
            finally:
                server.terminate()
                code = server.wait(timeout=PATIENCE)
            assert code == 0, (self.folder / "log").read_text()

    def wait_until_ready(self, server):
        """As the readiness probe asks, so that a wrong path or port is found."""
        probe = self.container["readinessProbe"]["httpGet"]
        assert probe["port"] == "admin"
        last, until = "", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert server.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.admin)), 2) as asked:
                asked.sendall(f"GET {probe['path']} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n".encode())
                last = asked.recv(4096).decode()
                if last.startswith("HTTP/1.1 200 "):
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {last}\n{(self.folder / 'log').read_text()}")


class Running(unittest.TestCase):
    def call(self, pod, notes):
        """The first call of the notes, from a shell."""
        call = re.search(r"  (grpcurl .+?ResolveCredentials)\n", notes, re.DOTALL).group(1)
        call = call.replace("grpcurl", os.environ["BYOKD_TEST_GRPCURL"], 1).replace(":50051", f":{pod.port}")
        call = call.replace("-import-path proto", f"-import-path {chart.ROOT / 'proto'}")
        answer = subprocess.run(
            ["bash", "-c", call], cwd=pod.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("BILLING_MODE_UNMETERED", answer.stdout)

    def test_a_trial_answers_the_first_call_of_its_notes(self):
        notes, found = chart.notes(DEV), chart.objects(DEV)
        token = re.search(r"exec deployment/byokd -- byokd (token .+) > token\n", notes).group(1)
        with tempfile.TemporaryDirectory() as folder:
            pod = Pod(pathlib.Path(folder), found, chart.deployment(found), {})
            with pod.serving():
                minted = pod.run(*token.split())
                self.assertEqual(minted.returncode, 0, minted.stderr)
                (pod.folder / "token").write_text(minted.stdout)
                self.call(pod, notes)
                # The request of the `helm test` pod.
                health = pod.run("healthcheck", "--admin", f"127.0.0.1:{pod.admin}")
                self.assertEqual(health.returncode, 0, health.stderr)

    def test_production_answers_the_first_call_of_its_notes_after_its_migration(self):
        moto, region = os.environ["BYOKD_TEST_MOTO"], "eu-central-1"
        key = boto3.client("kms", endpoint_url=moto, region_name=region).create_key()["KeyMetadata"]["Arn"]
        values = chart.merged(
            chart.PRODUCTION,
            CERTIFICATE,
            {"kms": {"key": key}, "config": {"kms": {"endpoint_url": moto}}, "migrations": {"mode": "job"}},
        )
        notes, found = chart.notes(values), chart.objects(values)
        made = certificates.make(found["Certificate", "byokd"]["spec"]["dnsNames"], "spiffe://example.org/ns/agents/sa/a")
        database = f"chart_{uuid.uuid4().hex}"
        admin = os.environ["BYOKD_TEST_POSTGRES_ADMIN"] + "/postgres?sslmode=require"
        psql = [pathlib.Path(os.environ["BYOKD_TEST_POSTGRES_BIN"]) / "psql", admin, "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*psql, "-c", f"CREATE DATABASE {database} OWNER byokd"], check=True, timeout=PATIENCE)
        options = f"sslmode=verify-full&sslrootcert={os.environ['BYOKD_TEST_POSTGRES_CA']}"
        secrets = {
            "byokd-database": {"url": f"{os.environ['BYOKD_TEST_POSTGRES']}/{database}?{options}\n"},
            "byokd-audit": {"audit-key": "ab" * 32 + "\n"},
            "byokd-tls": {name: made[name] for name in ("ca.crt", "tls.crt", "tls.key")},
        }
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            job = found["Job", "byokd-migrate"]["spec"]["template"]["spec"]
            pod = Pod(root / "server", found, chart.deployment(found), secrets)
            self.assertIn("byokd migrate up", pod.run("serve").stderr, "a start without a schema must say what to do")
            migration = Pod(root / "migration", found, job, secrets)
            migrated = migration.run(*migration.container["args"])
            self.assertEqual(migrated.returncode, 0, migrated.stderr)
            for name in ("ca.crt", "client.crt", "client.key"):
                (pod.folder / name).write_text(made[name])
            with pod.serving():
                self.call(pod, notes)


if __name__ == "__main__":
    unittest.main()
