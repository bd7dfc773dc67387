"""The processes of the walk: aimock as two providers, and byokd. Its starter ends each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from anthropic_front import AnthropicFront
from report import Failed, expect, wait_until

OPENAI_MODELS = ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o", "gpt-4o-2024-11-20", "gpt-6-luna", "gpt-6-sol"]
# As the vendor does: older models are listed under their dated id only.
ANTHROPIC_MODELS = ["claude-haiku-5-5", "claude-haiku-4-5-20251001", "claude-sonnet-5-5", "claude-sonnet-4-6"]
REPLY = "pong"


class Process:
    """A child with its output in files, so that no pipe can fill up."""

    def __init__(self, name: str, command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.stdout, self.stderr = folder / f"{name}.stdout", folder / f"{name}.stderr"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env={**os.environ, **(env or {})}
            )

    def output(self) -> str:
        return self.stdout.read_text(errors="replace") + self.stderr.read_text(errors="replace")

    def alive(self) -> bool:
        """True, or fails with the output of the ended child."""
        code = self._child.poll()
        if code is not None:
            raise Failed(f"{self.name} ended with {code}:\n{self.output()[-4000:]}")
        return True

    def stop(self) -> int:
        """SIGTERM, then after 20 s SIGKILL. Returns the exit code; negative for a signal."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait(timeout=20)
        return self._child.returncode


class Aimock:
    """One aimock, playing one vendor: it lists and generates `models`, and answers 401 to any key but `accepted`."""

    def __init__(self, node: str, cli: str, name: str, folder: Path, models: list[str], accepted: list[str]) -> None:
        fixtures: list[object] = [{"match": {"model": model}, "response": {"content": REPLY}} for model in models]
        unknown = {"message": "The model does not exist", "type": "invalid_request_error", "code": "model_not_found"}
        fixtures.append({"match": {}, "response": {"error": unknown, "status": 404}})
        path = folder / f"{name}.fixtures.json"
        path.write_text(json.dumps({"fixtures": fixtures}))
        command = [node, cli, "--port", "0", "--host", "127.0.0.1", "--fixtures", str(path), "--strict"]
        self.process = Process(name, command, folder, {"AIMOCK_API_KEYS": ",".join(accepted)})
        wait_until(lambda: self.process.alive() and self._listening() is not None, 30, f"{name} to listen")
        self.url = self._listening() or ""

    def _listening(self) -> str | None:
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", self.process.output())
        return found.group(1) if found else None

    def stop(self) -> None:
        self.process.stop()


class Providers:
    """The base URLs of the catalog, which byokd and the SDKs call."""

    def __init__(self, node: str, cli: str, folder: Path, openai_keys: list[str], anthropic_keys: list[str]) -> None:
        self._stops: list[Aimock | AnthropicFront] = []
        try:
            openai = Aimock(node, cli, "openai", folder, OPENAI_MODELS, openai_keys)
            self._stops.append(openai)
            anthropic = Aimock(node, cli, "anthropic", folder, ANTHROPIC_MODELS, anthropic_keys)
            self._stops.append(anthropic)
            front = AnthropicFront(anthropic.url)
            self._stops.append(front)
        except BaseException:
            self.stop()
            raise
        self.openai, self.anthropic = f"{openai.url}/v1", front.url

    def stop(self) -> None:
        while self._stops:
            self._stops.pop().stop()


class Byokd:
    """The binary under test, on free ports, with a data folder of its own."""

    def __init__(self, binary: Path, name: str, folder: Path, catalog: Path) -> None:
        config = folder / f"{name}.toml"
        settings = f"[catalog]\nfile = {json.dumps(str(catalog))}\n\n[egress]\nloopback_http = true\n"
        config.write_text(settings + "\n[server]\nshutdown_delay_ms = 0\n")
        self._serve(binary, name, folder, ["--config", str(config)])

    def _serve(self, binary: Path, name: str, folder: Path, arguments: list[str]) -> None:
        self.binary, self.data_dir, self.folder = binary, folder / f"{name}-data", folder
        command = [str(binary), "serve", *arguments, "--data-dir", str(self.data_dir)]
        self.process = Process(name, [*command, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], folder)
        self._where = self.data_dir / "server"
        try:
            wait_until(lambda: self.process.alive() and self._where.exists(), 60, "byokd to listen")
            self.url = self._where.read_text().strip()
        except BaseException:
            self.process.stop()
            raise

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One command of the command line, as a person would type it."""
        command = [str(self.binary), *arguments, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, cwd=self.folder)

    def token(self, role: str, workspace: str) -> str:
        done = self.run("token", "--role", role, "--workspace", workspace)
        if done.returncode != 0:
            raise Failed(f"byokd token --role {role}: {done.stderr}")
        return done.stdout.strip()

    def stop(self) -> None:
        """Stops as an operator would, and expects a clean end."""
        code = self.process.stop()
        expect(code == 0, f"{self.process.name} stops on SIGTERM with exit code 0", code)
        expect(not self._where.exists(), f"{self.process.name} leaves no server file behind")


class DemoByokd(Byokd):
    """`byokd serve --demo`, with the provider that it brings."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._serve(binary, "demo", folder, ["--demo"])
