"""byokd through grpcurl, with the server's reflection instead of the contract."""

from __future__ import annotations

import json
import os
import subprocess

from client import ERROR_INFO, Message, Refused

# By google.rpc.Code.
STATUSES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()
# grpcurl ends with this plus the code of a status that is not OK.
STATUS_BASE = 64


class Grpcurl:
    name = "grpcurl"

    def __init__(self, program: str, address: str) -> None:
        self._command = [program, "-plaintext", "-connect-timeout", "10", "-max-time", "30"]
        self._address = address

    def services(self) -> list[str]:
        """The services in the server's reflection. Needs no token."""
        return self._run([self._address, "list"], "", "").stdout.split()

    def call(self, method: str, request: Message, token: str = "", defaults: bool = True) -> Message:
        flags = ["-format-error", "-d", "@"]
        if defaults:
            flags.append("-emit-defaults")
        if token:
            # The token comes from the environment, so that it shows in no list of processes.
            flags += ["-expand-headers", "-H", "authorization: Bearer ${TOKEN}"]
        done = self._run([*flags, self._address, f"byok.v1.{method}"], json.dumps(request), token)
        if done.returncode == 0:
            answer: Message = json.loads(done.stdout)
            return answer
        if done.returncode <= STATUS_BASE:
            raise RuntimeError(f"grpcurl {method}: {done.stderr}")
        status = json.loads(done.stderr)
        details = [detail for detail in status.get("details", []) if detail["@type"] == ERROR_INFO]
        info = details[0] if details else {}
        raise Refused(
            status=STATUSES[done.returncode - STATUS_BASE],
            message=status.get("message", ""),
            reason=info.get("reason", ""),
            domain=info.get("domain", ""),
            metadata=info.get("metadata", {}),
        )

    def _run(self, arguments: list[str], stdin: str, token: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments],
            input=stdin,
            env={**os.environ, "TOKEN": token},
            capture_output=True,
            text=True,
            timeout=60,
        )
