"""Opens the golden vectors of the sealed record, format 1, without any code of byokd; this file describes the format.

    record = version u8 (1) | bucket u16 | data key version u32 | salt 32 | commitment 32 | ciphertext | tag 16

Numbers are big endian; lp(x) is the length of x as u32, then x. From the data key, HKDF-SHA-256 with the salt and the
info lp("byokd record 1") lp(deployment) makes 76 bytes: the record key (32), the nonce (12) and the commitment (32).
The secret is sealed with AES-256-GCM; what it is bound to is the associated data.
"""

from __future__ import annotations

import hmac
import json
import struct
import sys
import uuid
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = struct.Struct(">BHI32s32s")
VECTORS = Path(__file__).with_name("envelope_v1.json")


class NotOpened(Exception):
    """The record differs from the vector."""


def lp(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def associated_data(vector: dict[str, Any], header: bytes) -> bytes:
    headers = sorted(vector["headers"].items())
    parts = [
        uuid.UUID(vector["deployment"]).bytes,
        vector["scope"].encode(),
        vector["workspace_id"].encode(),
        vector["provider"].encode(),
        uuid.UUID(vector["key_id"]).bytes,
        struct.pack(">Q", vector["generation"]),
        vector["base_url"].encode(),
        struct.pack(">I", len(headers)),
        *(part.encode() for header_line in headers for part in header_line),
    ]
    return header + b"".join(map(lp, parts))


def open_record(vector: dict[str, Any], sealed: bytes) -> str:
    if len(sealed) < HEADER.size + 16:
        raise NotOpened("too short")
    version, _bucket, _data_key_version, salt, commitment = HEADER.unpack_from(sealed)
    if version != 1:
        raise NotOpened("unknown version")
    info = lp(b"byokd record 1") + lp(uuid.UUID(vector["deployment"]).bytes)
    expanded = HKDF(SHA256(), 76, salt, info).derive(bytes.fromhex(vector["data_key"]))
    record_key, nonce, expected = expanded[:32], expanded[32:44], expanded[44:]
    if not hmac.compare_digest(expected, commitment):
        raise NotOpened("another data key")
    header, ciphertext = sealed[: HEADER.size], sealed[HEADER.size :]
    try:
        return AESGCM(record_key).decrypt(nonce, ciphertext, associated_data(vector, header)).decode()
    except InvalidTag as error:
        raise NotOpened("the tag does not match") from error


def opens(vector: dict[str, Any], sealed: bytes) -> bool:
    try:
        open_record(vector, sealed)
    except NotOpened:
        return False
    return True


def main() -> None:
    vectors = json.loads(VECTORS.read_text())
    if not vectors:
        sys.exit(f"{VECTORS} holds no vectors")
    for number, vector in enumerate(vectors):
        sealed = bytes.fromhex(vector["sealed"])
        if open_record(vector, sealed) != vector["plaintext"]:
            sys.exit(f"vector {number} opens to another text")
        for bit in range(len(sealed) * 8):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            if opens(vector, bytes(flipped)):
                sys.exit(f"vector {number} opens although bit {bit} was flipped")
    print(f"{len(vectors)} vectors opened")


if __name__ == "__main__":
    main()
