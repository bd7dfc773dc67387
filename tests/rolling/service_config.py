"""The shipped service config, against the contract: one entry for each RPC, and no retry where none is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from report import expect

ROOT = Path(__file__).resolve().parents[2]
# A stream: it ends when its caller says so.
ENDLESS = {"byok.v1.KeyService/WatchInvalidations"}
# They may answer UNAVAILABLE because a provider is away; each attempt is a test call of its own.
TEST_CALLS = {
    "byok.v1.KeyService/SetKey",
    "byok.v1.KeyService/VerifyKey",
    "byok.v1.KeyService/ListModels",
    "byok.v1.PlatformService/SetPlatformKey",
    "byok.v1.PlatformService/VerifyPlatformKey",
}


def contract() -> set[str]:
    found = set()
    for file in (ROOT / "proto/byok/v1").glob("*_service.proto"):
        text = file.read_text()
        service = re.search(r"^service (\w+)", text, re.MULTILINE)
        found |= {f"byok.v1.{service[1]}/{rpc}" for rpc in re.findall(r"^  rpc (\w+)", text, re.MULTILINE) if service}
    return found


def every_method_has_its_place() -> None:
    config = json.loads((ROOT / "examples/service_config.json").read_text())
    named = [(f"{name['service']}/{name['method']}", each) for each in config["methodConfig"] for name in each["name"]]
    methods = sorted(name for name, _ in named)
    expect(methods == sorted(contract() - ENDLESS), f"each of {len(methods)} RPCs has one place", methods)
    retried = {name for name, each in named if "retryPolicy" in each}
    expect(retried == set(methods) - TEST_CALLS, "all but those that make test calls are made again", retried)
    expect(not any("hedgingPolicy" in each for _, each in named), "none is sent twice at once")
    expect(all("timeout" in each for _, each in named), "each has a time limit")
