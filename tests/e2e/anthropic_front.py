"""A reverse proxy on loopback that gives aimock's answers the shape that Anthropic's have.

aimock speaks `POST /v1/messages` as Anthropic does. Two of its answers have OpenAI's shape whatever the caller speaks,
and no fixture can change them:

* 401 for an unknown key. byokd calls a key invalid only on Anthropic's own words, and rightly so.
* `GET /v1/models`, which has no `has_more`, `first_id` and `last_id`.

Those two are rewritten here, nothing else is: whether a key is known, and which models there are, aimock decides.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNKNOWN_KEY = {
    "type": "error",
    "error": {"type": "authentication_error", "message": "invalid x-api-key"},
    "request_id": "req_synthetic",
}
FORWARDED = ("x-api-key", "authorization", "anthropic-version", "content-type")
# No proxy from the environment: everything here is on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def models_page(openai_list: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's form of a list of models: one page that holds them all."""
    models = [
        {"type": "model", "id": entry["id"], "display_name": entry["id"], "created_at": "1970-01-01T00:00:00Z"}
        for entry in openai_list["data"]
    ]
    return {
        "data": models,
        "first_id": models[0]["id"] if models else None,
        "last_id": models[-1]["id"] if models else None,
        "has_more": False,
    }


class AnthropicFront:
    """Serves until `stop`, on a free port."""

    def __init__(self, upstream: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30  # of an idle connection

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                self.forward(None)

            def do_POST(self) -> None:
                self.forward(self.rfile.read(int(self.headers.get("content-length", 0))))

            def forward(self, body: bytes | None) -> None:
                headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
                request = urllib.request.Request(upstream + self.path, body, headers, method=self.command)
                try:
                    with OPENER.open(request, timeout=20) as response:
                        status, answer = response.status, json.load(response)
                except urllib.error.HTTPError as refusal:
                    status, answer = refusal.code, json.load(refusal)
                if status == 401:
                    answer = UNKNOWN_KEY
                elif status == 200 and self.path.partition("?")[0] == "/v1/models":
                    answer = models_page(answer)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
