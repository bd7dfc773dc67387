"""Fronts before a real KMS and a real database, and a fake provider, so that each can fail on request.

Each listens on a free loopback port and must be stopped by its creator.
"""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# No proxy from the environment: everything here is on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HttpFront:
    """An HTTP server whose answers `answer` makes."""

    def __init__(self) -> None:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30  # of an idle connection

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                self.respond(b"")

            def do_POST(self) -> None:
                self.respond(self.rfile.read(int(self.headers.get("content-length", 0))))

            def respond(self, body: bytes) -> None:
                status, answer = front.answer(self.path, dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class KmsFront(HttpFront):
    """The KMS behind it, or one that answers each call with `fault`."""

    FAULTS = {
        "outage": (500, "KMSInternalException"),
        "denied": (400, "AccessDeniedException"),
        "key_state": (400, "DisabledException"),
    }

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.fault = ""
        super().__init__()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if self.fault:
            status, kind = self.FAULTS[self.fault]
            return status, json.dumps({"__type": kind, "message": "synthetic"}).encode()
        passed = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
        request = urllib.request.Request(self.upstream + path, data=body, headers=passed)
        try:
            with OPENER.open(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


class Provider(HttpFront):
    """A provider of OpenAI's protocol. It knows the keys in `accepted`; while `down`, it answers 503."""

    MODELS = ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-11-20")

    def __init__(self, accepted: list[str]) -> None:
        self.accepted = set(accepted)
        self.down = False
        super().__init__()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        given = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
        status: int
        said: dict[str, Any]
        if self.down:
            status, said = 503, {"error": {"message": "synthetic outage", "type": "server_error", "code": None}}
        elif given.removeprefix("Bearer ") not in self.accepted:
            error = {"message": "Incorrect API key", "type": "invalid_request_error", "code": "invalid_api_key"}
            status, said = 401, {"error": error}
        elif path.endswith("/models"):
            status, said = 200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.MODELS]}
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
            status, said = 200, {"object": "chat.completion", "choices": [choice]}
        return status, json.dumps(said).encode()


class DatabaseFront:
    """A TCP proxy that can be cut: open connections break, and new ones are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            for end in self._open:
                _shut(end)

    def restore(self) -> None:
        with self._lock:
            self._cut = False

    def stop(self) -> None:
        self.cut()
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                cut = self._cut
            if cut:
                near.close()
                continue
            far = socket.create_connection(self._upstream)
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
        except OSError:
            pass
        with self._lock:
            self._open -= {source, target}
        _shut(source)
        _shut(target)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
