"""Where a secret could end up, and in which disguises it is looked for."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import redis

# A short number is only that number when no other digit, and no decimal point, stands beside it.
ALONE = rb"(?<![0-9.])%s(?![0-9])"
SHORT = 8


def base64_forms(secret: bytes) -> Iterator[bytes]:
    """What the secret looks like inside base64, at each of the three places where it may begin."""
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(secret)) * 8 // 6
        text = base64.b64encode(b"\0" * before + secret)[first:last]
        yield from {text, text.replace(b"+", b"-").replace(b"/", b"_")}


def patterns(secret: str) -> list[re.Pattern[bytes]]:
    """Raw, hex, base64, JSON-escaped and URL-quoted."""
    raw = secret.encode()
    plain = re.escape(raw)
    found = [plain] if len(raw) > SHORT else [ALONE % plain, rb"%%[0-9A-F]{2}%s(?![0-9])" % plain]
    found += [
        re.escape(form) for form in (raw.hex().encode(), raw.hex().upper().encode(), *base64_forms(raw))
    ]
    others = {json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode()} - {raw}
    return [re.compile(form) for form in (*found, *map(re.escape, others))]


@dataclass
class Search:
    """The secrets to look for, by name."""

    secrets: Mapping[str, str]
    _patterns: dict[str, list[re.Pattern[bytes]]] = field(init=False)

    def __post_init__(self) -> None:
        self._patterns = {name: patterns(secret) for name, secret in self.secrets.items()}

    def hits(self, sink: str, contents: Iterable[bytes]) -> list[str]:
        """Which secrets are in there, with what stands around the first place."""
        found = []
        for content in contents:
            for name, forms in self._patterns.items():
                match = next(filter(None, (form.search(content) for form in forms)), None)
                if match is not None:
                    around = content[max(0, match.start() - 60) : match.end() + 30]
                    found.append(f"{name} in {sink}: {around!r}")
        return found


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file():
                yield path.name, path.read_bytes()


def rows(database: Path) -> Iterator[bytes]:
    """Every row of every table of an SQLite database, as SQL text."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        yield from (line.encode() for line in connection.iterdump())
    finally:
        connection.close()


def values(client: redis.Redis) -> Iterator[bytes]:
    """Every key and value that lies in Redis now."""
    readers: dict[bytes, Callable[[Any], Any]] = {
        b"string": lambda key: [client.get(key) or b""],
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: _told(client, key),
    }
    for key in client.scan_iter():
        kind: Any = client.type(key)
        yield from (key, *readers[kind](key))


def _told(client: redis.Redis, key: Any) -> list[Any]:
    """What every entry of a stream says."""
    entries: Any = client.xrange(key)
    return [part for _, told in entries for pair in told.items() for part in pair]


class Overheard:
    """Every command that anybody sends to Redis, task messages included, while the block runs."""

    def __init__(self, client: redis.Redis) -> None:
        self.lines: list[bytes] = []
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        with self._client.monitor() as monitor:  # type: ignore[no-untyped-call]
            while not self._stop.is_set():
                self.lines.append(str(monitor.next_command()["command"]).encode())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            self._client.ping()
            self._thread.join(0.05)
        self._client.close()
