"""The JSON of the command line: the JSON that grpcurl prints for the same call."""

from __future__ import annotations

import json

import keys
from client import Message
from grpcurl import Grpcurl
from report import expect
from servers import Byokd

WORKSPACE = "acme"


def same_json_as_grpcurl(byokd: Byokd, grpcurl: Grpcurl) -> None:
    """Expects the keys of both providers in the workspace, as `command_line` leaves it."""
    admin, resolver = byokd.token("admin", WORKSPACE), byokd.token("resolver", WORKSPACE)
    operator = byokd.token("operator", "*")
    workspace = {"workspace_id": WORKSPACE}
    # With the same request id, the second call gets the result of the first.
    set_key = {**workspace, "provider": "openai", "api_key": keys.OPENAI_FIRST, "request_id": "json-1"}

    def same(arguments: str, method: str, request: Message, token: str, stdin: str = "") -> None:
        compare(arguments, printed(byokd, arguments, stdin), grpcurl.call(method, request, token, defaults=False))

    key = keys.OPENAI_FIRST + "\n"
    same(f"key set {WORKSPACE} openai --request-id json-1", "KeyService/SetKey", set_key, admin, key)
    same(f"workspace show {WORKSPACE}", "KeyService/GetWorkspace", workspace, admin)
    same(f"key list {WORKSPACE}", "KeyService/GetWorkspace", workspace, admin)
    every_model = {**workspace, "include_unavailable": True}
    same(f"models {WORKSPACE} --all", "KeyService/ListModels", every_model, admin)
    for model in ("gpt-4o-mini", "no-such-model"):
        question = {**workspace, "model": model}
        same(f"explain {WORKSPACE} --model {model}", "KeyService/ExplainResolution", question, resolver)
    same(f"audit list {WORKSPACE}", "KeyService/ListAuditEvents", {**workspace, "page_size": 1000}, admin)
    same("platform list", "PlatformService/ListPlatformKeys", {}, operator)
    same_resolution(byokd, grpcurl, resolver)


def same_resolution(byokd: Byokd, grpcurl: Grpcurl, token: str) -> None:
    """Each resolution has an id of its own, and a lease that counts from its own time."""
    ours = printed(byokd, f"resolve {WORKSPACE} --model gpt-4o-mini --reveal")
    masked = printed(byokd, f"resolve {WORKSPACE} --model gpt-4o-mini")
    request = {"workspace_id": WORKSPACE, "model": "gpt-4o-mini"}
    theirs = grpcurl.call("KeyService/ResolveCredentials", request, token, defaults=False)
    for answer in (ours, masked, theirs):
        expect(bool(answer.pop("resolutionId")), "a resolution has an id", answer)
        expect(set(answer.pop("lease")) == {"ttl", "refreshAfter"}, "a resolution has a lease", answer)
    compare("resolve --reveal", ours, theirs)
    theirs["credential"] = {"apiKey": f"…{keys.OPENAI_FIRST[-4:]}"}
    compare("resolve", masked, theirs)


def printed(byokd: Byokd, arguments: str, stdin: str = "") -> Message:
    done = byokd.run(*arguments.split(), "-o", "json", stdin=stdin)
    expect(done.returncode == 0, f"byokd {arguments} -o json succeeds", done.stderr)
    answer: Message = json.loads(done.stdout)
    return answer


def compare(what: str, ours: Message, theirs: Message) -> None:
    expect(ours == theirs, f"byokd {what} -o json is grpcurl's JSON", (ours, theirs))
