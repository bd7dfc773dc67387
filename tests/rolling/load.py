"""Resolves without a pause, through the channel that the Python example makes, until its standard input ends.

    BYOKD_TOKEN=… BYOKD_ADMIN_TOKEN=… LOAD_KEY=… load.py TARGET WORKSPACE

A slower worker switches another workspace's toggle, each time with a request id, and watches that the revision counts
each change once. Prints "started" once every worker has had an answer, and at the end one line of JSON: how many calls,
how many of them failed, how many were changes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "examples"))
import resolve_and_call as example  # noqa: E402

WORKERS = 3
PAUSE, PAUSE_OF_CHANGES = 0.02, 0.1
KEEP = 5  # failures that are printed


class Load:
    def __init__(self, target: str, workspace: str) -> None:
        self.stub = example.rpc.KeyServiceStub(example.channel(target))
        self.workspace = workspace
        self.calls = self.changes = self.failed = 0
        self.failures: list[str] = []
        self.revision: int | None = None
        self.stop = threading.Event()
        self._lock = threading.Lock()

    def resolve(self) -> None:
        request = example.pb.ResolveCredentialsRequest(workspace_id=self.workspace, provider="openai")
        answer = self.stub.ResolveCredentials(request, metadata=bearer("BYOKD_TOKEN"))
        if answer.credential.api_key != os.environ["LOAD_KEY"]:
            raise ValueError("another key than the workspace's own")

    def change(self) -> None:
        """A change that is made again finds its first result, so it counts once, whatever a replica's end did to it."""
        request = example.pb.ToggleByoRequest(
            workspace_id=f"{self.workspace}-changes", enabled=self.changes % 2 == 0, request_id=str(uuid.uuid4())
        )
        answer = self.stub.ToggleByo(request, metadata=bearer("BYOKD_ADMIN_TOKEN"))
        expected, self.revision = self.revision, answer.workspace.revision
        if expected is not None and answer.workspace.revision != expected + 1:
            raise ValueError(f"revision {answer.workspace.revision} after {expected}")
        self.changes += 1

    def once(self, call: Callable[[], None]) -> None:
        failure = ""
        try:
            call()
        except grpc.RpcError as error:
            failure = f"{error.code().name}: {error.details()}"
        except ValueError as error:
            failure = str(error)
        with self._lock:
            self.calls += 1
            if failure:
                self.failed += 1
                self.failures.append(f"{time.strftime('%H:%M:%S')} {call.__name__}: {failure}")

    def worker(self, call: Callable[[], None], pause: float, started: threading.Barrier) -> None:
        self.once(call)
        started.wait()
        while not self.stop.wait(pause):
            self.once(call)


def bearer(variable: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {os.environ[variable]}")]


def main(target: str, workspace: str) -> None:
    load = Load(target, workspace)
    started = threading.Barrier(WORKERS + 2)
    jobs = [(load.resolve, PAUSE)] * WORKERS + [(load.change, PAUSE_OF_CHANGES)]
    threads = [threading.Thread(target=load.worker, args=(call, pause, started)) for call, pause in jobs]
    for thread in threads:
        thread.start()
    started.wait()
    print("started", flush=True)
    sys.stdin.read()
    load.stop.set()
    for thread in threads:
        thread.join()
    counts = {"calls": load.calls, "changes": load.changes, "failed": load.failed, "failures": load.failures[:KEEP]}
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
