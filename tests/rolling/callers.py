"""The callers: a program in Python and one in Go, each a process that resolves until its input is closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from replicas import Cluster

from name_server import NAME
from report import Failed, wait_until

HERE = Path(__file__).resolve().parent
SERVICE_CONFIG = HERE.parents[1] / "examples/service_config.json"
KEY = "sk-proj-SYNTHETIC-rolling-abcdefgh"
# How long a caller may take to have its first answers, and to end.
WITHIN = 60


class Caller:
    """Runs from its first line of output until its input is closed."""

    def __init__(self, cluster: Cluster, workspace: str, command: list[str], *arguments: str) -> None:
        self.workspace = workspace
        target = f"dns://127.0.0.1:{cluster.names.port}/{NAME}:{cluster.port}"
        environment = {
            **os.environ,
            "BYOKD_TOKEN": cluster.token("resolver", workspace),
            "BYOKD_ADMIN_TOKEN": cluster.token("admin", "*"),
            "LOAD_KEY": KEY,
        }
        self._out, self._errors = cluster.folder / f"{workspace}.out", cluster.folder / f"{workspace}.errors"
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self._child = subprocess.Popen(
                [*command, target, workspace, *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
                env=environment,
            )

    def wait_until_started(self) -> None:
        def started() -> bool:
            if self._child.poll() is not None:
                raise Failed(f"{self.workspace} ended with {self._child.returncode}: {self._errors.read_text()}")
            return self._out.read_text().startswith("started")

        wait_until(started, WITHIN, f"{self.workspace} to start")

    def end(self) -> dict[str, Any]:
        """Lets it finish its calls, and returns its counts."""
        self._child.communicate(timeout=WITHIN)
        if self._child.returncode != 0:
            raise Failed(f"{self.workspace} ended with {self._child.returncode}: {self._errors.read_text()}")
        counted: dict[str, Any] = json.loads(self._out.read_text().splitlines()[-1])
        return counted

    def kill(self) -> None:
        """After a failure; of one that has ended, nothing is left to kill."""
        self._child.kill()
        self._child.wait()


def callers(cluster: Cluster, go_load: Path) -> list[Caller]:
    """One in each language, of a workspace that brings its own key."""
    found = []
    for name in ("python", "go"):
        workspace = f"rolling-{name}"
        cluster.set_key(workspace, KEY)
        if name == "python":
            found.append(Caller(cluster, workspace, [sys.executable, str(HERE / "load.py")]))
        else:
            found.append(Caller(cluster, workspace, [str(go_load)], str(SERVICE_CONFIG)))
    return found
