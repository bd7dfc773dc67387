"""The chart's pods, run without a cluster: byokd with the arguments, the variables and the files that the manifests give
it, and then the first call, as NOTES.txt shows it.

Absent: the kubelet. That probes, Services and volumes do what their manifests say is Kubernetes' own to prove."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest

import chart
from combinations import DEV

PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


class Pod:
    """A pod's files below a folder of the test's, its ports free ones on loopback."""

    def __init__(self, folder, found):
        self.folder = folder
        self.port, self.admin = free_port(), free_port()
        (self.container,) = chart.deployment(found)["containers"]
        self.environment = {"PATH": os.environ["PATH"]}
        for variable in self.container["env"]:
            value = variable.get("value", "from-elsewhere")
            self.environment[variable["name"]] = f"{folder}{value}" if value.startswith("/") else value
        for mount in self.container["volumeMounts"]:
            (folder / mount["mountPath"][1:]).mkdir(parents=True, exist_ok=True)
        settings = found["ConfigMap", "byokd"]["data"]["byokd.toml"].replace('"/', f'"{folder}/')
        settings = settings.replace("0.0.0.0", "127.0.0.1").replace(":50051", f":{self.port}")
        (folder / "etc/byokd/config/byokd.toml").write_text(settings.replace(":9464", f":{self.admin}"))

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
    def test_the_first_call_of_the_notes_is_answered(self):
        notes = chart.notes(DEV)
        token = re.search(r"exec deployment/byokd -- byokd (token .+) > token\n", notes).group(1)
        call = re.search(r"  grpcurl (.+?)\n\n", notes, re.DOTALL).group(1)
        with tempfile.TemporaryDirectory() as folder:
            pod = Pod(pathlib.Path(folder), chart.objects(DEV))
            with pod.serving():
                minted = pod.run(*token.split())
                self.assertEqual(minted.returncode, 0, minted.stderr)
                (pod.folder / "token").write_text(minted.stdout)
                call = call.replace(":50051", f":{pod.port}")
                answer = subprocess.run(
                    ["bash", "-c", f"{os.environ['BYOKD_TEST_GRPCURL']} {call}"], cwd=folder,
                    capture_output=True, text=True, timeout=PATIENCE, check=False,
                )  # fmt: skip
                self.assertEqual(answer.returncode, 0, answer.stderr)
                self.assertIn("BILLING_MODE_UNMETERED", answer.stdout)
                health = pod.run("healthcheck", "--admin", f"127.0.0.1:{pod.admin}")
                self.assertEqual(health.returncode, 0, health.stderr)
        print("the pod of a trial started, and answered the first call of its notes")


if __name__ == "__main__":
    unittest.main()
