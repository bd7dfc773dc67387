"""The vendors' own SDKs, configured only with the answer of byokd."""

from __future__ import annotations

import anthropic
import openai
from client import Message
from report import expect
from servers import REPLY

TIMEOUT = 20.0
PROMPT = "ping"


def call_provider(resolved: Message) -> None:
    """Makes one LLM call as `resolved` says, and expects the provider's reply."""
    provider, model, endpoint = resolved["provider"], resolved["model"], resolved["endpoint"]
    carries = (endpoint["authHeader"].lower(), endpoint.get("authPrefix", ""))
    key, headers = resolved["credential"]["apiKey"], endpoint.get("headers", {})
    if provider == "openai":
        expect(carries == ("authorization", "Bearer "), "the key goes where OpenAI wants it", carries)
        answer = _openai(endpoint["baseUrl"], key, headers, model)
    else:
        expect(carries == ("x-api-key", ""), "the key goes where Anthropic wants it", carries)
        answer = _anthropic(endpoint["baseUrl"], key, headers, model)
    expect(answer == REPLY, f"the {provider} SDK calls {model} with what was resolved", answer)


def _openai(base_url: str, key: str, headers: dict[str, str], model: str) -> str | None:
    with openai.OpenAI(
        base_url=base_url, api_key=key, default_headers=headers, max_retries=0, timeout=TIMEOUT
    ) as client:
        completion = client.chat.completions.create(
            model=model, max_completion_tokens=16, messages=[{"role": "user", "content": PROMPT}]
        )
    return completion.choices[0].message.content


def _anthropic(base_url: str, key: str, headers: dict[str, str], model: str) -> str:
    with anthropic.Anthropic(
        base_url=base_url, api_key=key, default_headers=headers, max_retries=0, timeout=TIMEOUT
    ) as client:
        message = client.messages.create(model=model, max_tokens=16, messages=[{"role": "user", "content": PROMPT}])
    return "".join(block.text for block in message.content if block.type == "text")
