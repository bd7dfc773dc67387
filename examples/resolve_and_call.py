"""Asks byokd whose key to use, and makes one LLM call per prompt with the vendor's own SDK.

    pip install -r examples/requirements.txt
    export BYOKD_TOKEN=$(byokd token --role resolver --workspace acme)
    python examples/resolve_and_call.py http://127.0.0.1:50051 acme gpt-4o-mini "Say hello." "And goodbye."
    python examples/resolve_and_call.py dns:///byokd-headless.byokd:50051 acme gpt-4o-mini

The second command spreads its calls over all replicas behind the name. MODEL is a family of the catalog, an alias or a
concrete id; with "" byokd chooses the model.
"""

import os
import sys
import time
from pathlib import Path

import anthropic
import grpc
import openai

# This program compiles the contract when it starts. A service keeps the stubs instead:
# python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. byok/v1/{types,key_service}.proto
sys.path.append(str(Path(__file__).resolve().parents[1] / "proto"))
types = grpc.protos("byok/v1/types.proto")
pb, rpc = grpc.protos_and_services("byok/v1/key_service.proto")

HERE = Path(__file__).resolve().parent
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def channel(server: str) -> grpc.Channel:
    """Connects to every replica behind the name. service_config.json sets the load balancing and the retries.

    The connection is in clear text, as inside a mesh; for TLS use grpc.secure_channel.
    """
    options = [
        ("grpc.service_config", (HERE / "service_config.json").read_text()),
        # Use the file alone; do not query TXT records.
        ("grpc.service_config_disable_resolution", 1),
        # The default is 30 s; a rollout may replace every known pod in that time.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        # A node that vanishes closes no connection: ping every 30 s and wait 5 s for the answer.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]
    return grpc.insecure_channel(server.removeprefix("http://"), options)


class Resolver:
    """Resolves credentials and caches each for its lease."""

    def __init__(self, server: str, token: str) -> None:
        self.stub = rpc.KeyServiceStub(channel(server))
        self.metadata = [("authorization", f"Bearer {token}")]
        self.cache = {}  # (workspace, model) -> (resolved, refresh from, use until)

    def resolve(self, workspace: str, model: str):
        resolved, refresh_from, use_until = self.cache.get((workspace, model), (None, 0.0, 0.0))
        # A lease counts from the sending of its request, on a clock that is never set back.
        sent = time.monotonic()
        if resolved and sent < refresh_from:
            return resolved
        request = pb.ResolveCredentialsRequest(workspace_id=workspace, model=model)
        try:
            resolved = self.stub.ResolveCredentials(request, metadata=self.metadata)
        except grpc.RpcError as error:
            # While byokd is unavailable, the old answer is valid until its lease ends. A refusal ends it at once.
            if error.code() in AWAY and time.monotonic() < use_until:
                return resolved
            self.cache.pop((workspace, model), None)
            raise
        refresh_after, ttl = resolved.lease.refresh_after.ToTimedelta(), resolved.lease.ttl.ToTimedelta()
        self.cache[workspace, model] = (resolved, sent + refresh_after.total_seconds(), sent + ttl.total_seconds())
        return resolved


def call(resolved, prompt: str) -> str:
    """Makes one LLM call with the resolved endpoint, headers, key and model, through the vendor's SDK."""
    settings = {
        "base_url": resolved.endpoint.base_url,
        "api_key": resolved.credential.api_key or "none",  # a local model needs no key, but the SDK needs a text
        "default_headers": dict(resolved.endpoint.headers),
    }
    messages = [{"role": "user", "content": prompt}]
    if resolved.endpoint.auth_header.lower() == "x-api-key":
        client = anthropic.Anthropic(**settings)
        answer = client.messages.create(model=resolved.model, max_tokens=256, messages=messages)
        return "".join(block.text for block in answer.content if block.type == "text")
    answer = openai.OpenAI(**settings).chat.completions.create(model=resolved.model, messages=messages)
    return answer.choices[0].message.content or ""


def main(server: str, workspace: str, model: str, *prompts: str) -> None:
    if "BYOKD_TOKEN" not in os.environ:
        sys.exit("BYOKD_TOKEN is not set; mint one with: byokd token --role resolver --workspace WORKSPACE")
    resolver = Resolver(server, os.environ["BYOKD_TOKEN"])
    for prompt in prompts or ("Say hello.",):
        try:
            resolved = resolver.resolve(workspace, model)
        except grpc.RpcError as error:
            sys.exit(f"byokd refused: {error.code().name}: {error.details()}")
        payer = types.BillingMode.Name(resolved.billing.mode)
        print(f"{resolved.provider} {resolved.model}, {payer}, resolution {resolved.resolution_id}")
        try:
            print(call(resolved, prompt))
        except (openai.OpenAIError, anthropic.AnthropicError) as error:
            sys.exit(f"{resolved.provider} did not answer: {error}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
