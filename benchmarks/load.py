"""A lean HTTP load: so many kept-alive connections, each with one request on the way, on raw sockets."""

from __future__ import annotations

import itertools
import select
import socket
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.machine import Meter, Usage

CONNECTIONS = 64
ANSWER_MAX = 65_536
SILENT_S = 5.0


def get(path: str, **headers: str) -> bytes:
    """The bytes of a GET request."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass(slots=True)
class Window:
    """What a span of load measured; latencies in nanoseconds, ascending."""

    usage: Usage
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: array[int] = field(default_factory=lambda: array("q"))

    @property
    def count(self) -> int:
        """Answers of any kind."""
        return self.statuses.total()

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.usage.seconds

    def ms(self, share: float) -> float:
        """A quantile of the latencies in milliseconds."""
        return quantile(self.latencies, share) / 1e6

    def per_request_us(self, pid: int) -> float:
        """CPU microseconds of a process per answer."""
        return self.usage.of[pid] / self.count * 1e6


def quantile(ascending: Sequence[int] | Sequence[float], share: float) -> float:
    """A quantile of sorted values."""
    return float(ascending[min(len(ascending) - 1, int(len(ascending) * share))])


def connect(port: int, *, source: str = "127.0.0.1") -> socket.socket:
    """A connection to a server here."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=SILENT_S, source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer_length(data: bytes) -> int:
    """The length of the answer that `data` begins with; 0 while its head is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    body = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return end + 4 + body


def receive(connection: socket.socket, patience_s: float) -> bytes:
    """One whole answer. Raises TimeoutError when nothing comes for so many seconds."""
    connection.settimeout(patience_s)
    data = b""
    while True:
        data += connection.recv(ANSWER_MAX)
        length = answer_length(data)
        if length and len(data) >= length:
            return data


class Load:
    """Drives one server with a supply of requests."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(connections):
            connection = connect(port)
            self._sockets[connection.fileno()] = connection
            self._epoll.register(connection, select.EPOLLIN)
        self._sent = dict.fromkeys(self._sockets, 0)
        self._partial: dict[int, bytes] = {}

    def drive(self, requests: Iterable[bytes], seconds: float, pids: Sequence[int] = ()) -> Window:
        """Send from the supply until time is up or it is empty, and wait for every answer."""
        supply = iter(requests)
        meter, window = Meter(pids), Window(Usage(0, {}, 0, 0))
        flying = sum(self._send(number, supply) for number in self._sockets)
        deadline = time.perf_counter() + seconds
        while flying:
            ready = self._epoll.poll(SILENT_S)
            if not ready:
                raise TimeoutError(f"{flying} requests were not answered")
            if time.perf_counter() > deadline:
                supply = iter(())
            for number, _ in ready:
                if self._receive(number, window):
                    flying += self._send(number, supply) - 1
        window.usage = meter.read()
        window.latencies = array("q", sorted(window.latencies))
        return window

    def _send(self, number: int, supply: Iterator[bytes]) -> bool:
        request = next(supply, None)
        if request is None:
            return False
        self._sent[number] = time.perf_counter_ns()
        self._sockets[number].send(request)
        return True

    def _receive(self, number: int, window: Window) -> bool:
        """Take what has come; whether an answer is complete."""
        data = self._sockets[number].recv(ANSWER_MAX)
        if not data:
            raise ConnectionError("the server hung up")
        if self._partial:
            data = self._partial.pop(number, b"") + data
        # The common case has no body, so its end is the end of its head.
        if not (data.startswith(b"HTTP/1.1 204") and data.endswith(b"\r\n\r\n")):
            length = answer_length(data)
            if length == 0 or len(data) < length:
                self._partial[number] = data
                return False
        window.latencies.append(time.perf_counter_ns() - self._sent[number])
        window.statuses[int(data[9:12])] += 1
        return True

    def close(self) -> None:
        """Hang up."""
        self._epoll.close()
        for connection in self._sockets.values():
            connection.close()


def rotating(requests: Sequence[bytes]) -> Iterator[bytes]:
    """The same requests over and over."""
    return itertools.cycle(requests)
