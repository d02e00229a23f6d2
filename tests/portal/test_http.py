"""Our side of HTTP: whole answers, bounded heads, and connections that do not overstay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from portal import http
from portal.bodies import bounded

CUT_WITHIN_S = 1.0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers as the path says."""
    path, headers, body = scope["path"], [], b"hello"
    if path == "/sized":
        headers = [(b"Content-Length", b"5")]
    elif path == "/empty":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    elif path == "/split":
        headers = [(b"x-name", b"a\r\nset-cookie: b")]
    elif path == "/raises":
        raise ZeroDivisionError
    elif path == "/silent":
        return
    elif path == "/slow":
        await asyncio.sleep(0.1)
        body = scope["query_string"]
    elif path == "/body":
        body = (await receive())["body"]
    elif path == "/leaves":
        await receive()
        left.append((await receive())["type"])
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[:2], "more_body": True})
    await send({"type": "http.response.body", "body": body[2:]})


left: list[str] = []


@asynccontextmanager
async def serving(application: Any = echo, keep_alive_s: int = 5) -> AsyncIterator[int]:
    """The port of a uvicorn with our protocol."""
    config = uvicorn.Config(
        application,
        port=0,
        http=http.Http,
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = suppress  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def talk(port: int, *said: bytes) -> bytes:
    """Everything that is heard until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = bytearray()
    with suppress(ConnectionError):
        for part in said:
            writer.write(part)
            await writer.drain()
        await asyncio.wait_for(_listen(reader, heard), 5)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return bytes(heard)


async def _listen(reader: asyncio.StreamReader, heard: bytearray) -> None:
    while part := await reader.read(65536):
        heard += part


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """A request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


LAST = "Connection: close"


class TestAnswers:
    async def test_a_body_of_known_length_is_sent_as_it_is(self) -> None:
        async with serving() as port:
            heard = await talk(port, get("/sized", LAST))
        assert heard.startswith(b"HTTP/1.1 200 OK\r\n") and heard.endswith(b"\r\n\r\nhello")
        assert heard.lower().count(b"date:") == 1 and b"chunked" not in heard

    async def test_a_body_of_unknown_length_comes_in_chunks(self) -> None:
        async with serving() as port:
            heard = await talk(port, get("/", LAST))
        assert heard.endswith(b"\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")

    @pytest.mark.parametrize("request_", [get("/empty", LAST), get("/sized", LAST, method="HEAD")])
    async def test_what_has_no_body_ends_with_its_head(self, request_: bytes) -> None:
        async with serving() as port:
            heard = await talk(port, request_)
        assert heard.endswith(b"\r\n\r\n") and b"chunked" not in heard

    async def test_a_connection_serves_many_requests(self) -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3):
                writer.write(get("/sized"))
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            writer.close()

    async def test_requests_sent_ahead_are_answered_in_their_order(self) -> None:
        async with serving() as port:
            sent = b"".join(get(f"/slow?number{n}") for n in range(3)) + get("/sized", LAST)
            heard = await talk(port, sent)
        assert [heard.index(b"mber%d" % n) for n in range(3)] == sorted(
            heard.index(b"mber%d" % n) for n in range(3)
        )
        assert heard.endswith(b"hello")

    @pytest.mark.parametrize("path", ["/raises", "/silent", "/split"])
    async def test_who_answers_badly_is_answered_for(self, path: str) -> None:
        async with serving() as port:
            heard = await talk(port, get(path))
        assert b"set-cookie" not in heard
        assert heard == b"" or heard.startswith(b"HTTP/1.1 500 ")

    async def test_a_body_that_nobody_read_ends_the_connection(self) -> None:
        async with serving() as port:
            heard = await talk(port, get("/sized", "Content-Length: 1000", method="POST"), b"x")
        assert b"connection: close" in heard and heard.endswith(b"hello")

    async def test_who_asks_first_is_told_to_go_on(self) -> None:
        async with serving() as port:
            said = get("/body", "Content-Length: 4", "Expect: 100-continue", LAST, method="POST")
            heard = await talk(port, said, b"text")
        assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")

    async def test_the_application_learns_that_nobody_is_there_any_more(self) -> None:
        left.clear()
        async with serving() as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/leaves"))
            await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.05)
        assert left == ["http.disconnect"]


async def test_what_is_held_learns_that_the_server_stops_and_is_answered() -> None:
    stop = asyncio.Event()

    async def holding(scope: Any, receive: Any, send: Any) -> None:
        await stop.wait()
        await echo(scope | {"path": "/sized"}, receive, send)

    http.at_stop.append(stop.set)
    async with serving(holding) as port:
        held = asyncio.create_task(talk(port, get("/")))
        await asyncio.sleep(0.1)
    assert (await held).endswith(b"hello") and http.at_stop == []


async def test_a_held_request_that_nobody_answers_is_cut_when_the_server_stops() -> None:
    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with serving(deaf) as port:
        held = asyncio.create_task(talk(port, get("/")))
        await asyncio.sleep(0.1)
    assert await held == b""


def headers(count: int) -> Iterable[bytes]:
    """So many headers."""
    return (b"x-%d: y\r\n" % number for number in range(count))


class TestBounds:
    @pytest.mark.parametrize(
        "said",
        [
            b"GET / HTTP/1.1\r\n" + b"".join(headers(100_000)),
            b"GET / HTTP/1.1\r\nx: " + b"y" * 1_000_000,
            b"GET /" + b"y" * 1_000_000,
            b"GET / HTTP/1.1\r\n" + b"".join(headers(65)) + b"\r\n",
            b"\x16\x03\x01 this is not HTTP\r\n\r\n",
        ],
        ids=["100,000 headers", "an endless header", "an endless address", "65 headers", "noise"],
    )
    async def test_a_head_beyond_reason_ends_its_connection_at_once(self, said: bytes) -> None:
        async with serving() as port:
            began = time.monotonic()
            heard = await talk(port, said)
        assert time.monotonic() - began < CUT_WITHIN_S
        assert heard == b"" or heard.startswith(b"HTTP/1.1 400 ")

    async def test_64_headers_are_fine(self) -> None:
        async with serving() as port:
            heard = await talk(
                port, b"GET /sized HTTP/1.1\r\nConnection: close\r\n" + b"".join(headers(63)) + b"\r\n"
            )
        assert heard.endswith(b"hello")

    async def test_a_head_that_trickles_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "HEAD_S", 0.2)
        monkeypatch.setattr(http, "SWEEP_S", 0.05)
        async with serving() as port:
            began = time.monotonic()
            assert await talk(port, b"GET / HTTP/1.1\r\nx: y") == b""
        assert 0.1 < time.monotonic() - began < CUT_WITHIN_S

    async def test_an_idle_connection_does_not_stay_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "SWEEP_S", 0.05)
        async with serving(keep_alive_s=0) as port:
            assert (await talk(port, get("/sized"))).endswith(b"hello")
            assert await talk(port) == b""

    async def test_a_held_request_is_not_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "SWEEP_S", 0.01)
        async with serving(keep_alive_s=0) as port:
            assert b"2\r\nld\r\n" in await talk(port, get("/slow?held", LAST))


CHUNK = b"8000\r\n" + b"x" * 32768 + b"\r\n"


class TestBodies:
    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ([get("/", "Content-Length: 1000000000", method="POST")], b"413"),
            ([get("/", "Content-Length: 1000000000", method="POST"), b"x" * 2_000_000], b"413"),
            ([get("/", "Transfer-Encoding: chunked", method="POST"), *[CHUNK] * 40], b"413"),
            ([get("/terminal/v1/enroll", "Content-Length: 32769", method="POST")], b"413"),
        ],
    )  # fmt: skip
    async def test_a_body_beyond_its_bound_is_refused_before_it_is_kept(
        self, said: list[bytes], status: bytes
    ) -> None:
        async with serving(bounded(echo)) as port:
            began = time.monotonic()
            heard = await talk(port, *said)
        assert time.monotonic() - began < CUT_WITHIN_S
        assert heard == b"" or heard.split(b" ")[1] == status

    async def test_a_body_that_trickles_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portal.bodies.BODY_S", 0.2)
        async with serving(bounded(echo)) as port:
            heard = await talk(port, get("/body", "Content-Length: 10", method="POST"), b"x")
        assert heard.split(b" ")[1] == b"408"

    async def test_a_body_within_its_bound_arrives_whole(self) -> None:
        async with serving(bounded(echo)) as port:
            chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            heard = await talk(port, get("/body", "Transfer-Encoding: chunked", LAST, method="POST"), chunks)
        assert heard.endswith(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")

    async def test_who_leaves_in_the_middle_is_not_answered(self) -> None:
        asked: list[str] = []

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            asked.append(scope["path"])

        async with serving(bounded(noting)) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/", "Content-Length: 10", method="POST") + b"half")
            await writer.drain()
            writer.close()
            await asyncio.sleep(0.05)
        assert asked == []
