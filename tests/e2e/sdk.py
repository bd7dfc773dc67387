"""The vendors' own SDKs, configured only with the answer of byokd."""

from __future__ import annotations

from typing import Any

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


def every_answer(resolved: Message) -> dict[str, str]:
    """The text of each answer that the vendor's SDK gets as `resolved` says: a list, a call, a streamed call."""
    model, endpoint, key = resolved["model"], resolved["endpoint"], resolved["credential"]["apiKey"]
    messages: list[Any] = [{"role": "user", "content": PROMPT}]
    if resolved["provider"] == "openai":
        with _openai_client(endpoint["baseUrl"], key, {}) as client:
            events = client.chat.completions.create(model=model, messages=messages, stream=True)
            streamed = "".join(event.choices[0].delta.content or "" for event in events)
            listed = " ".join(entry.id for entry in client.models.list())
        return {"list": listed, "call": _openai(endpoint["baseUrl"], key, {}, model) or "", "stream": streamed}
    with _anthropic_client(endpoint["baseUrl"], key, {}) as client:
        with client.messages.stream(model=model, max_tokens=16, messages=messages) as stream:
            streamed = "".join(stream.text_stream)
        # Pages of two, so that the SDK asks for the next one.
        listed = " ".join(entry.id for entry in client.models.list(limit=2))
    return {"list": listed, "call": _anthropic(endpoint["baseUrl"], key, {}, model), "stream": streamed}


def _openai_client(base_url: str, key: str, headers: dict[str, str]) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=key, default_headers=headers, max_retries=0, timeout=TIMEOUT)


def _anthropic_client(base_url: str, key: str, headers: dict[str, str]) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url, api_key=key, default_headers=headers, max_retries=0, timeout=TIMEOUT)


def _openai(base_url: str, key: str, headers: dict[str, str], model: str) -> str | None:
    with _openai_client(base_url, key, headers) as client:
        completion = client.chat.completions.create(
            model=model, max_completion_tokens=16, messages=[{"role": "user", "content": PROMPT}]
        )
    return completion.choices[0].message.content


def _anthropic(base_url: str, key: str, headers: dict[str, str], model: str) -> str:
    with _anthropic_client(base_url, key, headers) as client:
        message = client.messages.create(model=model, max_tokens=16, messages=[{"role": "user", "content": PROMPT}])
    return "".join(block.text for block in message.content if block.type == "text")
