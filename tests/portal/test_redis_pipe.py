"""The pipe to Redis: one write a turn, answers in order, and every way in which a server can be away."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from portal import redis_pipe
from portal.redis_pipe import Pipe, Refused, Unreachable, address_of, pack

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def pipe(url: str | None = None, timeout_s: float = 1.0) -> AsyncIterator[Pipe]:
    """A pipe to the test's Redis, or to another address."""
    one = Pipe(url or settings.REDIS_URL, timeout_s)
    try:
        yield one
    finally:
        await one.close()


@asynccontextmanager
async def listening(peer: Peer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that behaves as `peer` does."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(ConnectionError):
            await peer(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.wait_for(asyncio.gather(*talks), 2)


def answering(*replies: bytes, heard: list[bytes] | None = None) -> Peer:
    """A peer that takes what comes in one read and says the next of its lines."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            said = await reader.read(4096)
            if heard is not None:
                heard.append(said)
            writer.write(reply)

    return peer


class TestAsking:
    async def test_answers_come_in_the_order_of_the_questions(self) -> None:
        async with pipe() as line:
            for number in range(50):
                line.ask(pack("SET", f"n{number}", number))
            found = await asyncio.gather(*(line.ask(pack("GET", f"n{number}")) for number in range(50)))
        assert found == [str(number).encode() for number in range(50)]

    async def test_what_is_asked_in_one_turn_leaves_in_one_write(self) -> None:
        async with pipe() as line:
            await line.ask(pack("PING"))
            before = line.writes
            await asyncio.gather(*(line.ask(pack("PING")) for _ in range(200)))
            assert line.writes == before + 1

    async def test_an_error_belongs_to_its_question_alone(self) -> None:
        async with pipe() as line:
            wrong, right = line.ask(pack("GET")), line.ask(pack("PING"))
            with pytest.raises(Refused, match="wrong number of arguments"):
                await wrong
            assert await right == b"PONG"

    async def test_who_gave_up_does_not_disturb_the_others(self) -> None:
        async with pipe() as line:
            left, stays = line.ask(pack("PING")), line.ask(pack("ECHO", "here"))
            left.cancel()
            assert await stays == b"here"

    async def test_an_answer_in_pieces_is_put_together(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            for piece in (b"$1", b"1\r\nhello", b" world\r", b"\n"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)

        async with listening(peer) as port, pipe(f"redis://127.0.0.1:{port}") as line:
            assert await line.ask(pack("GET", "x")) == b"hello world"


class TestAway:
    async def test_nobody_there_is_a_failure_and_soon_a_quick_one(self) -> None:
        async with pipe("unix:///nowhere/redis.sock") as line:
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await line.ask(pack("PING"))
            assert line.losses == 1

    async def test_a_server_that_hangs_fails_what_waits_and_is_left(self, redis_client: redis.Redis) -> None:
        pid = redis_client.info("server")["process_id"]
        async with pipe(timeout_s=0.2) as line:
            await line.ask(pack("PING"))
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                with pytest.raises(Unreachable):
                    await line.ask(pack("PING"))
                assert time.monotonic() - began < 1
            finally:
                os.kill(pid, signal.SIGCONT)

    async def test_after_a_loss_it_connects_again(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_pipe, "PAUSE_S", 0.01)
        async with pipe() as line:
            await line.ask(pack("CLIENT", "SETNAME", "victim"))
            for client in redis_client.client_list():
                if client["name"] == "victim":
                    redis_client.client_kill_filter(_id=client["id"])
            with pytest.raises(Unreachable):
                await line.ask(pack("PING"))
            await asyncio.sleep(0.02)
            assert await line.ask(pack("PING")) == b"PONG"

    async def test_a_slow_server_that_keeps_answering_is_not_left(self) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            for _ in range(6):
                await asyncio.sleep(0.1)
                writer.write(b"+OK\r\n")

        async with listening(peer) as port, pipe(f"redis://127.0.0.1:{port}", 0.25) as line:
            assert await asyncio.gather(*(line.ask(pack("PING")) for _ in range(6))) == [b"OK"] * 6

    @pytest.mark.parametrize("noise", [b"?what\r\n", b"+OK\r\n+nobody asked\r\n"])
    async def test_what_is_no_conversation_is_ended(self, noise: bytes) -> None:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(noise)
            await reader.read(100)

        async with listening(peer) as port, pipe(f"redis://127.0.0.1:{port}") as line:
            await asyncio.gather(line.ask(pack("PING")), return_exceptions=True)
            await asyncio.sleep(0.05)
            assert line.losses == 1

    async def test_what_is_under_way_at_the_end_fails(self) -> None:
        line = Pipe(settings.REDIS_URL, 1.0)
        await line.ask(pack("PING"))
        blocked = line.ask(pack("BLPOP", "nothing", 0))
        await asyncio.sleep(0.01)
        await line.close()
        with pytest.raises(Unreachable):
            await blocked


class TestGreeting:
    async def test_it_says_who_it_is_and_which_database_before_anything_else(self) -> None:
        heard: list[bytes] = []
        peer = answering(b"+OK\r\n+OK\r\n+PONG\r\n", heard=heard)
        secret = quote("p@ss:w/rd", safe="")
        async with listening(peer) as port, pipe(f"redis://till:{secret}@127.0.0.1:{port}/3") as line:
            assert await line.ask(pack("PING")) == b"PONG"
        assert heard == [pack("AUTH", "till", "p@ss:w/rd") + pack("SELECT", "3") + pack("PING")]

    async def test_a_refused_password_is_a_failure(self) -> None:
        peer = answering(b"-WRONGPASS no\r\n-NOAUTH Authentication required.\r\n")
        async with listening(peer) as port, pipe(f"redis://:x@127.0.0.1:{port}") as line:
            with pytest.raises((Unreachable, Refused)):
                await line.ask(pack("PING"))

    def test_an_address_is_read_as_redis_py_reads_it(self) -> None:
        there = address_of("redis://cache.example:7000/2")
        assert (there.host, there.port, there.greeting) == ("cache.example", 7000, (pack("SELECT", "2"),))
        socket = address_of("unix://:word@/run/redis.sock?db=1")
        assert socket.path == "/run/redis.sock"
        assert socket.greeting == (pack("AUTH", "word"), pack("SELECT", "1"))
        assert address_of("redis://localhost").greeting == ()

    async def test_over_tls_only_a_known_certificate_will_do(self, tmp_path: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(tmp_path / "server.pem"))
        async with listening(answering(b"+PONG\r\n"), context) as port:
            address = f"rediss://127.0.0.1:{port}"
            async with pipe(f"{address}?ssl_ca_certs={tmp_path}/server.pem") as trusting:
                assert await trusting.ask(pack("PING")) == b"PONG"
            async with pipe(address) as careful:
                with pytest.raises(Unreachable):
                    await careful.ask(pack("PING"))


def certificate(path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path
