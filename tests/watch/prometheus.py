"""A real Prometheus on a free loopback port, with the alerts loaded; and the reader of a metrics page."""

from __future__ import annotations

import json
import math
import random
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from pages import ALERTS
from servers import Process

from fronts import OPENER

Series = list[dict[str, Any]]


class BadQuery(Exception):
    """Prometheus cannot run a query."""


class Prometheus:
    """Looks at each address once a second. The labels are those that Kubernetes would give."""

    def __init__(self, program: str, folder: Path, addresses: list[str]) -> None:
        targets = [
            {"targets": [address], "labels": {"namespace": "byokd", "pod": f"byokd-{index}"}}
            for index, address in enumerate(addresses)
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "byokd", "static_configs": targets}],
        }
        # JSON is YAML.
        (folder / "prometheus.yaml").write_text(json.dumps(config))
        self._folder, self._program = folder, program
        self.process, self.url = self._start()

    def _start(self) -> tuple[Process, str]:
        # If another process takes the port in between, it tries again.
        for _ in range(5):
            port = free_port()
            arguments = [
                self._program,
                f"--config.file={self._folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={self._folder / f'prometheus-{port}'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
            process, url = Process("prometheus", arguments, self._folder), f"http://127.0.0.1:{port}"
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    with OPENER.open(f"{url}/-/ready", timeout=5):
                        return process, url
                except OSError:
                    if "address already in use" in process.output():
                        break
                    process.alive()
                    time.sleep(0.05)
            process.stop()
        raise RuntimeError(f"Prometheus did not start:\n{process.output()[-4000:]}")

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with OPENER.open(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise BadQuery(json.load(error).get("error", str(error))) from error

    def query(self, expression: str) -> Series:
        """The series that an expression yields now, those left out that are not numbers."""
        result = self._get("/api/v1/query", query=expression)["result"]
        return [series for series in result if not math.isnan(float(series["value"][1]))]

    def label_values(self, label: str, selector: str) -> list[str]:
        values: list[str] = self._get(f"/api/v1/label/{label}/values", **{"match[]": selector})
        return values

    def rules(self) -> list[dict[str, Any]]:
        """The alerts, as Prometheus evaluates them."""
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]


def free_port() -> int:
    """Below the range from which the kernel takes ports for outgoing connections."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Page:
    """A metrics page: its families with their types, and the labels and values of each."""

    def __init__(self, address: str) -> None:
        with OPENER.open(f"http://{address}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        self.helped = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if match := re.fullmatch(r"([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)(?: \d+)?", line):
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
                self.samples.append((match.group(1), labels, float(match.group(3))))

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        wanted = labels.items()
        return sum(value for sample, of, value in self.samples if sample == name and wanted <= of.items())
