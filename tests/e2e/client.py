"""The interface of a gRPC client in the walk. Messages are in the JSON form of protobuf, fields without a value included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

Message = dict[str, Any]
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


@dataclass
class Refused(Exception):
    """A status that is not OK, with its google.rpc.ErrorInfo."""

    status: str
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.message} {self.metadata}"


class Client(Protocol):
    """One way to call byokd."""

    name: str

    def call(self, method: str, request: Message, token: str = "") -> Message:
        """Calls e.g. "KeyService/SetKey" and returns the answer, or raises `Refused`."""
        ...
