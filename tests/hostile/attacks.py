"""What somebody who means harm sends, and how long a server takes to be done with it."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from terminals import jose
from terminals.protocol import TYP_AUTH

CHUNK = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
POSTS = ("enroll", "enroll/confirm", "keys/roll", "receipts", "recoveries")
DOORS = [("POST", door) for door in POSTS] + [("PUT", "inventory"), ("GET", "commands"), ("GET", "keysets/1")]


def request(method: str, door: str, *lines: str) -> bytes:
    """The head of a request to a terminal's door."""
    return "\r\n".join([f"{method} /terminal/v1/{door} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def huge(method: str, door: str, bearer: str) -> Iterator[bytes]:
    """A body of a gigabyte, as far as anybody takes it."""
    yield request(method, door, bearer, "Content-Type: application/json", "Content-Length: 1000000000")
    while True:
        yield b"x" * 0x8000


def endless(method: str, door: str, bearer: str) -> Iterator[bytes]:
    """Chunks without end."""
    yield request(method, door, bearer, "Content-Type: application/json", "Transfer-Encoding: chunked")
    while True:
        yield CHUNK


def wordy(method: str, door: str, bearer: str) -> Iterator[bytes]:
    """A hundred thousand headers."""
    yield request(method, door, bearer).removesuffix(b"\r\n")
    for start in range(0, 100_000, 1000):
        yield b"".join(b"x-%d: y\r\n" % number for number in range(start, start + 1000))
    yield b"\r\n"


def deep(method: str, door: str, bearer: str) -> Iterator[bytes]:
    """JSON that is nothing but depth, in a body just small enough."""
    body = b'{"a":' * 5000
    yield (
        request(method, door, bearer, "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    )


async def suffer(port: int, said: Iterable[bytes], most_s: float) -> tuple[float, bytes]:
    """How long until the server has answered or hung up, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def say() -> None:
        with suppress(ConnectionError):
            for part in said:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)

    saying, heard = asyncio.create_task(say()), b""
    with suppress(ConnectionError):
        async with asyncio.timeout(most_s):
            heard = await reader.read(65536)
    took = time.monotonic() - began
    saying.cancel()
    await asyncio.wait({saying})
    writer.close()
    return took, heard


def forged(bearer: str, count: int) -> list[str]:
    """Bearers that are wrong in the three ways that cost a server something, each of them only once."""
    header, payload, _ = bearer.split(".")
    kinds = itertools.cycle((_noise, _stranger, _impostor))
    return [kind(header, payload) for kind, _ in zip(kinds, range(count), strict=False)]


def _noise(_header: str, _payload: str) -> str:
    return secrets.token_hex(20)


def _stranger(_header: str, payload: str) -> str:
    header = {"alg": "Ed25519", "typ": TYP_AUTH, "kid": secrets.token_urlsafe(12)}
    return _impostor(jose.b64u(json.dumps(header).encode()), payload)


def _impostor(header: str, payload: str) -> str:
    # A number below the order of the group: one above it would be refused before anything is computed.
    return f"{header}.{payload}.{jose.b64u(secrets.token_bytes(63) + bytes(1))}"
