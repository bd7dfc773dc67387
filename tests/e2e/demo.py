"""The vendors' SDKs against `byokd serve --demo`: they list, call and stream with what byokd resolved."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from grpcio_client import Grpcio
from report import expect
from sdk import every_answer
from servers import DemoByokd

WORKSPACE = "acme"
KEY = "demo-valid"


def demo(binary: Path, folder: Path) -> None:
    folder.mkdir()
    byokd = DemoByokd(binary, folder)
    try:
        with closing(Grpcio(byokd.address)) as client:
            for provider in ("openai", "anthropic"):
                stored = byokd.run("key", "set", WORKSPACE, provider, "--enable-byo", stdin=f"{KEY}\n")
                expect(stored.returncode == 0, f"{KEY} is stored for {provider}", stored.stderr)
                request = {"workspaceId": WORKSPACE, "provider": provider}
                token = byokd.token("resolver", WORKSPACE)
                resolved = client.call("KeyService/ResolveCredentials", request, token)
                expect(resolved["credential"]["apiKey"] == KEY, f"{KEY} is resolved", resolved["key"])
                for call, answer in every_answer(resolved).items():
                    expect(resolved["model"] in answer, f"the {provider} SDK gets an answer: {call}", answer)
    finally:
        byokd.stop()
    expect(not byokd.data_dir.exists(), "the demo removes its data folder")
