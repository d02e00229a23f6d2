"""/healthz says that the process lives, /readyz whether a reset could be carried out now."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import redis
from django.test import Client, override_settings

from portal import health

pytestmark = pytest.mark.django_db


def test_a_living_process_says_so_without_asking_anybody(client: Client) -> None:
    with override_settings(REDIS_URL="unix:///nowhere/redis.sock"):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_means_database_redis_worker_and_key(client: Client, tmp_path: Path) -> None:
    key = tmp_path / "issuer.jwk"
    key.touch()
    with override_settings(REKEY_ISSUER_KEY_FILE=str(key)):
        health.heartbeat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": True,
        "redis": True,
        "worker": True,
        "signing_key": True,
    }


def test_without_a_heartbeat_the_worker_is_missing(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() | {"status": "unready", "redis": True, "worker": False} == answer.json()


def test_a_worker_without_its_key_is_told_apart(client: Client) -> None:
    health.heartbeat()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["worker"], answer.json()["signing_key"]) == (True, False)


def test_a_heartbeat_fades(redis_client: redis.Redis) -> None:
    health.heartbeat()
    assert 0 < redis_client.ttl(health.HEARTBEAT_KEY) <= health.HEARTBEAT_LASTS_S


def test_redis_away_is_an_answer_not_an_error(client: Client) -> None:
    with override_settings(REDIS_URL="unix:///nowhere/redis.sock"):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["redis"] is False


def test_a_probe_that_hangs_is_left_behind_after_a_second() -> None:
    gate = threading.Event()
    started = time.monotonic()

    def hang() -> None:
        gate.wait(30)

    assert health._in_time(hang) is False
    assert time.monotonic() - started < 1.5
    gate.set()


def test_health_answers_are_not_kept_by_caches_and_only_read(client: Client) -> None:
    assert client.get("/healthz").headers["Cache-Control"] == "no-store"
    assert client.post("/healthz").status_code == 405
