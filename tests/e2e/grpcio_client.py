"""byokd through Python's grpcio, with stubs that grpcio-tools generates from the contract, as a customer would."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import grpc
from client import Message, Refused
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

TIMEOUT = 30.0


def compile_contract(proto: Path, out: Path) -> None:
    """Makes the stubs of `byok.v1` in the folder `out` and makes them importable."""
    out.mkdir()
    files = [str(path.relative_to(proto)) for path in sorted((proto / "byok/v1").glob("*.proto"))]
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{proto}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
    ]
    subprocess.run([*command, *files], check=True, timeout=120)
    sys.path.insert(0, str(out))


class Grpcio:
    name = "grpcio"

    def __init__(self, address: str) -> None:
        # gRPC would otherwise send even loopback through the proxy that the environment names.
        self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._stubs: dict[str, object] = {}
        self._messages: dict[str, object] = {}
        for service, module in (("KeyService", "key_service"), ("PlatformService", "platform_service")):
            rpc = importlib.import_module(f"byok.v1.{module}_pb2_grpc")
            self._stubs[service] = getattr(rpc, f"{service}Stub")(self._channel)
            self._messages[service] = importlib.import_module(f"byok.v1.{module}_pb2")

    def call(self, method: str, request: Message, token: str = "") -> Message:
        service, name = method.split("/")
        message = getattr(self._messages[service], f"{name}Request")()
        json_format.ParseDict(request, message)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        try:
            answer = getattr(self._stubs[service], name)(message, metadata=metadata, timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise self._refused(error) from error
        parsed: Message = json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)
        return parsed

    @staticmethod
    def _refused(error: grpc.RpcError) -> Refused:
        refused = Refused(status=error.code().name, message=error.details() or "")
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                refused.reason, refused.domain, refused.metadata = info.reason, info.domain, dict(info.metadata)
        return refused

    def close(self) -> None:
        self._channel.close()
