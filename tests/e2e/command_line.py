"""The command line as people use it, the commands that `serve` prints, and the two examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import keys
from report import Failed, expect, wait_until
from servers import REPLY, Byokd

WORKSPACE = "acme"
OK, LOCAL, REMOTE = 0, 1, 2


class Shell:
    """Runs commands and checks their output."""

    def __init__(self, byokd: Byokd) -> None:
        self.byokd = byokd

    def expect(self, code: int, *arguments: str, stdin: str = "", contains: str = "", reveals: str = "") -> str:
        """Runs `byokd ARGUMENTS`, expects its exit code and output, and no other key than `reveals`."""
        done = self.byokd.run(*arguments, stdin=stdin)
        said = done.stdout + done.stderr
        text = f"byokd {' '.join(arguments)}: exit code {code}" + (f", {contains!r}" if contains else "")
        no_leak(text, said, allowed=reveals)
        expect(done.returncode == code and contains.lower() in said.lower(), text, (done.returncode, said))
        if reveals:
            expect(reveals in done.stdout, "… and shows the key, as it was asked to")
        return done.stdout


def no_leak(what: str, text: str, allowed: str = "") -> None:
    leaked = [key for key in keys.ALL if key in text and key != allowed]
    if leaked:
        raise Failed(f"{what} prints a key in the clear: {leaked}")


def command_line(byokd: Byokd) -> None:
    """Leaves the workspace with BYO on and a key for both providers."""
    shell = Shell(byokd)
    missing = str(byokd.folder / "no-such-file")
    shell.expect(OK, "platform", "set", "openai", stdin=keys.OPENAI_PLATFORM + "\n")
    shell.expect(OK, "key", "set", WORKSPACE, "openai", stdin=keys.OPENAI_FIRST + "\n")
    shell.expect(REMOTE, "key", "set", WORKSPACE, "openai", stdin=keys.OPENAI_BAD + "\n", contains="KEY_REJECTED")
    shell.expect(LOCAL, "key", "set", WORKSPACE, "openai", "--key-file", missing, contains="no-such-file")
    shell.expect(LOCAL, "no-such-command")
    shell.expect(OK, "resolve", WORKSPACE, contains="credits")
    shell.expect(OK, "toggle", WORKSPACE, "on")
    shell.expect(OK, "resolve", WORKSPACE, contains="byo")
    shell.expect(OK, "resolve", WORKSPACE, "--reveal", reveals=keys.OPENAI_FIRST)
    json.loads(shell.expect(OK, "resolve", WORKSPACE, "-o", "json"))
    json.loads(shell.expect(OK, "resolve", WORKSPACE, "-o", "json", "--reveal", reveals=keys.OPENAI_FIRST))
    shell.expect(REMOTE, "resolve", WORKSPACE, "--model", "claude-haiku", contains="BYO_KEY_MISSING")
    key_file = byokd.folder / "anthropic.key"
    key_file.write_text(keys.ANTHROPIC_GOOD + "\n")
    shell.expect(OK, "key", "set", WORKSPACE, "anthropic", "--key-file", str(key_file))
    key_file.unlink()
    shell.expect(OK, "key", "list", WORKSPACE, contains=keys.OPENAI_FIRST[-4:])


def printed_commands(byokd: Byokd, grpcurl: str) -> None:
    """Pastes each line that `serve` prints under "Try next:" into bash."""
    wait_until(lambda: byokd.process.alive() and bool(commands_of(byokd)), 20, "the commands to try next")
    path = os.pathsep.join([str(byokd.binary.parent), str(Path(grpcurl).parent), os.environ["PATH"]])
    for command in commands_of(byokd):
        # Typed in answer to the prompt where a command asks for a key; the others do not read it.
        key = keys.ANTHROPIC_GOOD if "anthropic" in command else keys.OPENAI_FIRST
        done = subprocess.run(
            ["bash", "-c", command],
            input=key + "\n",
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            cwd=byokd.folder,
        )
        said = done.stdout + done.stderr
        expect(done.returncode == 0, f"pasted: {command}", (done.returncode, said))


def commands_of(byokd: Byokd) -> list[str]:
    """The lines indented by four spaces that follow "Try next:"; none before the output is whole."""
    output = byokd.process.stdout.read_text()
    _, found, after = output.partition("Try next:")
    if not found or not output.endswith("\n"):
        return []
    return [line.strip() for line in after.splitlines() if line.startswith("    ") and line.strip()]


def examples(byokd: Byokd, root: Path, rust: Path) -> None:
    """Both examples make a call through each provider, with the keys that the command line set."""
    token = byokd.token("resolver", WORKSPACE)
    python = [sys.executable, str(root / "examples/resolve_and_call.py")]
    for program, name in (([str(rust)], "Rust"), (python, "Python")):
        for model in ("gpt-4o-mini", "claude-haiku"):
            done = subprocess.run(
                [*program, byokd.url, WORKSPACE, model],
                env={**os.environ, "BYOKD_TOKEN": token},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                cwd=byokd.folder,
            )
            said = done.stdout + done.stderr
            no_leak(f"the {name} example", said)
            expect(done.returncode == 0 and REPLY in done.stdout, f"the {name} example calls {model}", said)


def no_key_left(folder: Path) -> None:
    """No file that byokd wrote (database, journal, log, output) holds a key in the clear."""
    searched = 0
    for path in files_of(folder):
        content = path.read_bytes()
        leaked = [key for key in keys.ALL if key.encode() in content]
        if leaked:
            raise Failed(f"{path} holds a key in the clear: {leaked}")
        searched += 1
    expect(searched > 0, f"none of the {searched} files that byokd left holds a key in the clear")


def files_of(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
