"""A name server with one name: as a cluster's DNS answers for a headless Service whose pods change.

Both clients ask it over UDP, because their target names it: dns://127.0.0.1:PORT/NAME:PORT.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading

NAME = "byokd-headless.byokd.svc.cluster.local"
A, IN, TTL = 1, 1, 0


class NameServer(socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self._addresses: list[str] = []
        self.questions = 0
        super().__init__(("127.0.0.1", 0), _Question)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def add(self, address: str) -> None:
        self._addresses = [*self._addresses, address]

    def remove(self, address: str) -> None:
        self._addresses = [known for known in self._addresses if known != address]

    def addresses(self) -> list[str]:
        return self._addresses


class _Question(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        """The name's IPv4 addresses; to any other question nothing, or that there is no such name."""
        packet, answers_to = self.request
        (identifier,) = struct.unpack_from("!H", packet)
        name, end = _name(packet)
        kind, _ = struct.unpack_from("!HH", packet, end)
        known = name.lower() == NAME
        found = self.server.addresses() if known and kind == A else []
        self.server.questions += known and kind == A
        # An answer, authoritative, recursion asked and there; 3: no such name.
        head = struct.pack("!HHHHHH", identifier, 0x8580 | (0 if known else 3), 1, len(found), 0, 0)
        question = packet[12 : end + 4]
        # Each record names the question's name by its place in the packet.
        records = b"".join(struct.pack("!HHHIH", 0xC00C, A, IN, TTL, 4) + socket.inet_aton(each) for each in found)
        answers_to.sendto(head + question + records, self.client_address)


def _name(packet: bytes) -> tuple[str, int]:
    """The name in the question, and where it ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii"))
        at += packet[at] + 1
    return ".".join(labels), at + 1
