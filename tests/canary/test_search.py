"""The search can fail: a secret that was planted in each kind of place, in each disguise, is found."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from django.conf import settings

from tests.canary.sinks import Overheard, Search, files, rows, values

SECRETS = {"code": "482917", "password": "Kanari-7/+ü", "phone": "13800004242"}
SEARCH = Search(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_every_disguise_is_seen_through(name: str, before: str) -> None:
    secret = SECRETS[name]
    text = f"{before} {secret} after"
    disguises = [
        text.encode(),
        text.encode().hex().encode(),
        base64.b64encode(text.encode()),
        base64.urlsafe_b64encode(f"x{text}".encode()),
        json.dumps(text).encode(),
        quote(text, safe="").encode(),
    ]
    for disguise in disguises:
        assert SEARCH.hits("here", [disguise]) and name in SEARCH.hits("here", [disguise])[0], disguise


def test_a_number_within_a_number_is_not_the_code() -> None:
    assert not SEARCH.hits("here", [b"2026-11-24T17:20:57.482917Z", b"14829170", b"cmd_482918"])


def test_it_is_found_in_a_file_a_row_and_a_message(tmp_path: Path, redis_client: redis.Redis) -> None:
    (tmp_path / "web.log").write_text('{"event": "typed 482917"}\n')
    assert [SEARCH.hits(name, [content]) for name, content in files(tmp_path)] != [[]]

    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.execute("create table notes (text)")
    database.execute("insert into notes values (?)", (json.dumps({"phone": "+8613800004242"}),))
    database.commit()
    database.close()
    assert SEARCH.hits("database", rows(tmp_path / "db.sqlite3"))

    with Overheard(redis.Redis.from_url(settings.REDIS_URL)) as overheard:
        while not overheard.lines:
            redis_client.ping()
        body = base64.b64encode(json.dumps([["482917"], {}]).encode()).decode()
        redis_client.lpush("queue", json.dumps({"body": body}))
        while not any(b"LPUSH" in line for line in overheard.lines):
            redis_client.ping()
    assert SEARCH.hits("overheard", overheard.lines)
    assert SEARCH.hits("Redis", values(redis_client))
