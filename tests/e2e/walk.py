"""The main job of byokd in one walk, the same for every gRPC client: from credits to the workspace's own key and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import keys
from client import Client, Message, Refused
from report import Failed, expect
from sdk import call_provider
from servers import ANTHROPIC_MODELS, OPENAI_MODELS

GPT, CLAUDE = "gpt-4o-mini", "claude-haiku"


@dataclass
class Tokens:
    """One caller for each role."""

    admin: str
    resolver: str
    operator: str
    viewer: str


class Walk:
    def __init__(self, client: Client, tokens: Tokens, workspace: str) -> None:
        self.client, self.tokens, self.workspace = client, tokens, workspace

    def run(self) -> None:
        self.identity()
        self.platform_key()
        self.credits()
        self.bad_key()
        self.good_key()
        self.toggle_on()
        self.other_provider()
        self.supersede()
        self.delete()
        self.toggle_off()

    # The steps, in the order in which a team would take them.

    def identity(self) -> None:
        request = {"workspaceId": self.workspace}
        self.refused("KeyService/GetWorkspace", request, "", "UNAUTHENTICATED", "CREDENTIALS_MISSING")
        self.refused("KeyService/GetWorkspace", request, "no.such.token", "UNAUTHENTICATED", "CREDENTIALS_INVALID")
        self.refused(
            "KeyService/SetKey",
            {**request, "provider": "openai", "apiKey": keys.OPENAI_FIRST},
            self.tokens.viewer,
            "PERMISSION_DENIED",
            "ROLE_REQUIRED",
        )
        self.refused(
            "KeyService/GetWorkspace",
            {"workspaceId": "another-customer"},
            self.tokens.admin,
            "PERMISSION_DENIED",
            "WORKSPACE_MISMATCH",
        )

    def platform_key(self) -> None:
        self.operator("DeletePlatformKey", {"provider": "openai"})
        self.resolve_refused(GPT, "PLATFORM_KEY_MISSING")
        self.refused(
            "PlatformService/SetPlatformKey",
            {"provider": "openai", "apiKey": keys.OPENAI_BAD},
            self.tokens.operator,
            "INVALID_ARGUMENT",
            "KEY_REJECTED",
        )
        answer = self.operator("SetPlatformKey", {"provider": "openai", "apiKey": keys.OPENAI_PLATFORM})
        expect(answer["key"]["badge"] == "BADGE_CONNECTED", "the operator sets a platform key", answer["key"])

    def credits(self) -> None:
        resolved = self.resolve("")
        billing, source = resolved["billing"], resolved["key"]["source"]
        expect(billing["mode"] == "BILLING_MODE_CREDITS", "without set-up: credits", billing)
        expect(billing["charge"]["unit"] == "credits", "the charge is in credits", billing)
        expect(source == "KEY_SOURCE_PLATFORM", "on the platform's key", source)
        self.expect_key(resolved, keys.OPENAI_PLATFORM, "the platform's key is resolved")
        expect(resolved["model"] in OPENAI_MODELS, "with a concrete model of the provider", resolved["model"])

    def bad_key(self) -> None:
        refusal = self.set_key_refused("openai", keys.OPENAI_BAD, "KEY_REJECTED")
        expect(any("INVALID" in value for value in refusal.metadata.values()), "with the verdict", refusal.metadata)
        self.set_key_refused("openai", keys.ANTHROPIC_GOOD, "KEY_WRONG_KIND")
        seen = self.get_workspace()
        expect(seen["revision"] == "0" and seen["providers"] == [], "nothing of it is stored: revision 0, no key", seen)

    def good_key(self) -> None:
        self.set_key("openai", keys.OPENAI_FIRST, generation=1)
        seen = self.get_workspace()
        entry = entry_of(seen, "openai")
        expect(entry["key"]["masked"].endswith(keys.OPENAI_FIRST[-4:]), "the settings page sees the key masked", entry)
        expect(int(seen["revision"]) > 0, "the revision counts the change", seen["revision"])
        expect(seen["byoEnabled"] is False, "a key alone does not change who pays", seen)
        expect(self.resolve(GPT)["billing"]["mode"] == "BILLING_MODE_CREDITS", "still credits while BYO is off")

    def toggle_on(self) -> None:
        request = {"workspaceId": self.workspace}
        self.refused("KeyService/ToggleByo", request, self.tokens.admin, "INVALID_ARGUMENT", "FIELD_INVALID")
        answer = self.admin("ToggleByo", {"enabled": True})
        expect(answer["workspace"]["byoEnabled"] is True, "BYO is on", answer)
        missing = answer["providersWithoutUsableKey"]
        expect(missing == ["anthropic"], "the answer names the provider without a key", missing)
        self.resolve_byo(GPT, keys.OPENAI_FIRST, generation=1)

    def other_provider(self) -> None:
        self.resolve_refused(CLAUDE, "BYO_KEY_MISSING")
        self.set_key_refused("anthropic", keys.ANTHROPIC_BAD, "KEY_REJECTED")
        self.resolve_refused(CLAUDE, "BYO_KEY_MISSING")
        self.set_key("anthropic", keys.ANTHROPIC_GOOD, generation=1)
        resolved = self.resolve_byo(CLAUDE, keys.ANTHROPIC_GOOD, generation=1)
        expect(resolved["model"] in ANTHROPIC_MODELS, "with a model that the key lists", resolved["model"])
        self.admin("DeleteKey", {"provider": "anthropic"})
        self.resolve_refused(CLAUDE, "BYO_KEY_MISSING")

    def supersede(self) -> None:
        self.set_key_refused("openai", keys.OPENAI_BAD, "KEY_REJECTED")
        before = self.resolve_byo(GPT, keys.OPENAI_FIRST, generation=1)
        self.set_key("openai", keys.OPENAI_SECOND, generation=2)
        after = self.resolve_byo(GPT, keys.OPENAI_SECOND, generation=2)
        expect(before["key"]["keyId"] != after["key"]["keyId"], "the new key has an id of its own")

    def delete(self) -> None:
        answer = self.admin("DeleteKey", {"provider": "openai"})
        expect(answer["deleted"] is True, "the key is deleted", answer)
        expect(self.admin("DeleteKey", {"provider": "openai"})["deleted"] is False, "deleting it again is fine")
        self.resolve_refused(GPT, "BYO_KEY_MISSING")

    def toggle_off(self) -> None:
        answer = self.admin("ToggleByo", {"enabled": False})
        expect(answer["workspace"]["byoEnabled"] is False, "BYO is off", answer)
        self.credits()

    # The parts of the steps.

    def call(self, method: str, request: Message, token: str) -> Message:
        """Any call but a resolve: its answer never holds a key."""
        answer = self.client.call(method, request, token)
        leaked = [key for key in keys.ALL if key in json.dumps(answer)]
        if leaked:
            raise Failed(f"{method} answered with a key in the clear: {leaked}")
        return answer

    def admin(self, name: str, request: Message) -> Message:
        return self.call(f"KeyService/{name}", {"workspaceId": self.workspace, **request}, self.tokens.admin)

    def operator(self, name: str, request: Message) -> Message:
        return self.call(f"PlatformService/{name}", request, self.tokens.operator)

    def get_workspace(self) -> Message:
        request = {"workspaceId": self.workspace}
        workspace: Message = self.call("KeyService/GetWorkspace", request, self.tokens.viewer)["workspace"]
        return workspace

    def set_key(self, provider: str, key: str, generation: int) -> None:
        stored = self.admin("SetKey", {"provider": provider, "apiKey": key})["key"]
        seen = (stored["badge"], stored["verdict"], stored["generation"])
        expect(
            seen == ("BADGE_CONNECTED", "VERDICT_VALID", str(generation)),
            f"SetKey {provider}: connected, valid, generation {generation}",
            seen,
        )

    def set_key_refused(self, provider: str, key: str, reason: str) -> Refused:
        request = {"workspaceId": self.workspace, "provider": provider, "apiKey": key}
        return self.refused("KeyService/SetKey", request, self.tokens.admin, "INVALID_ARGUMENT", reason)

    def resolve(self, model: str) -> Message:
        request = {"workspaceId": self.workspace, "model": model}
        resolved = self.client.call("KeyService/ResolveCredentials", request, self.tokens.resolver)
        always = (resolved["lease"]["ttl"], resolved["resolutionId"], resolved["endpoint"]["baseUrl"])
        if not all(always):
            raise Failed(f"lease, resolution id or endpoint is missing: {always}")
        return resolved

    def resolve_refused(self, model: str, reason: str) -> None:
        request = {"workspaceId": self.workspace, "model": model}
        method = "KeyService/ResolveCredentials"
        self.refused(method, request, self.tokens.resolver, "FAILED_PRECONDITION", reason)

    def resolve_byo(self, model: str, key: str, generation: int) -> Message:
        """Resolves to the workspace's own key and uses it."""
        resolved = self.resolve(model)
        seen = (resolved["billing"]["mode"], resolved["key"]["source"], resolved["key"]["generation"])
        wanted = ("BILLING_MODE_BYO", "KEY_SOURCE_WORKSPACE", str(generation))
        expect(seen == wanted, f"{model}: the workspace's key, generation {generation}, billed by its provider", seen)
        self.expect_key(resolved, key, "it is the key that was set")
        call_provider(resolved)
        return resolved

    @staticmethod
    def expect_key(resolved: Message, key: str, text: str) -> None:
        resolved_key = resolved["credential"]["apiKey"]
        expect(resolved_key == key, text, f"…{resolved_key[-4:]}")

    def refused(self, method: str, request: Message, token: str, status: str, reason: str) -> Refused:
        try:
            answer = self.client.call(method, request, token)
        except Refused as refusal:
            seen = (refusal.status, refusal.reason, refusal.domain)
            expect(seen == (status, reason, "byokd"), f"{method} is refused: {status} {reason}", str(refusal))
            leaked = [key for key in keys.ALL if key in str(refusal)]
            if leaked:
                raise Failed(f"the refusal of {method} holds a key in the clear: {leaked}") from refusal
            return refusal
        raise Failed(f"{method} should be refused with {status} {reason}, but answered {sorted(answer)}")


def entry_of(workspace: Message, provider: str) -> Message:
    found = [entry for entry in workspace["providers"] if entry["provider"] == provider]
    if not found:
        raise Failed(f"the workspace has no entry for {provider}: {workspace}")
    entry: Message = found[0]
    return entry
