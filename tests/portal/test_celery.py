"""The broker is a messenger: it may be slow, dead or forgetful, and no page waits for it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection

from portal import celery as carrier
from portal import redis_server
from portal.breaker import Breaker
from portal.celery import app, nudge
from portal.post import Post
from portal.supervisor import parts

TASK = "portal.tasks.send_message"
PREFIX = carrier.TRANSPORT["global_keyprefix"]


def waiting(client: redis.Redis, queue: str) -> int:
    return int(client.llen(f"{PREFIX}{queue}"))


@pytest.mark.parametrize("task", carrier.ROUTES)
def test_a_nudge_lands_in_its_own_queue_and_in_no_other(redis_client: redis.Redis, task: str) -> None:
    # A worker declares all queues; only then would a shared exchange show.
    with app.connection_for_write() as connection:
        for queue in app.conf.task_queues:
            queue(connection.default_channel).declare()
    assert nudge(task, "some-id") is True
    wanted = carrier.ROUTES[task]["queue"]
    assert {name: waiting(redis_client, name) for name in carrier.QUEUES} == {
        name: int(name == wanted) for name in carrier.QUEUES
    }


def test_a_message_carries_one_opaque_id_and_no_more(redis_client: redis.Redis) -> None:
    nudge(TASK, "some-id")
    (raw,) = redis_client.lrange(f"{PREFIX}sms", 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == TASK
    assert message["headers"]["argsrepr"] == "('some-id',)"
    assert message["content-type"] == "application/json"


@pytest.mark.parametrize("task", carrier.ROUTES)
def test_a_nudge_is_the_message_that_celery_itself_would_send(redis_client: redis.Redis, task: str) -> None:
    ident = "cmd_0-Az_" + "9" * 16
    nudge(task, ident)
    app.send_task(task, args=(ident,), retry=False)
    celerys, ours = (json.loads(raw) for raw in redis_client.lrange(key_of(task), 0, -1))
    names = [(one["headers"]["id"], one["properties"]["delivery_tag"]) for one in (celerys, ours)]
    assert len({*names[0], *names[1]}) == 4
    for one in (celerys, ours):
        assert (
            one["headers"].pop("id")
            == one["headers"].pop("root_id")
            == one["properties"].pop("correlation_id")
        )
        assert one["properties"].pop("delivery_tag")
    assert ours == celerys


def test_no_two_nudges_have_the_same_name(redis_client: redis.Redis) -> None:
    for _ in range(20):
        nudge(TASK, "some-id")
    messages = [json.loads(raw) for raw in redis_client.lrange(key_of(TASK), 0, -1)]
    assert len({message["headers"]["id"] for message in messages}) == 20
    assert len({message["properties"]["delivery_tag"] for message in messages}) == 20


@pytest.mark.parametrize("ident", ['"], {}', "", "a b", "x" * 65, "é"])
def test_what_is_no_id_goes_nowhere(redis_client: redis.Redis, ident: str) -> None:
    assert nudge(TASK, ident) is False
    assert redis_client.llen(key_of(TASK)) == 0


def key_of(task: str) -> str:
    return f"{PREFIX}{carrier.ROUTES[task]['queue']}"


def test_every_task_that_is_called_by_name_exists() -> None:
    for room in ("portal", "terminals", "recovery"):
        import_module(f"{room}.tasks")
    called = {*carrier.ROUTES, *(entry["task"] for entry in carrier.SCHEDULE.values())}
    assert called - set(app.tasks) == set()


def test_the_queues_are_those_the_worker_listens_to() -> None:
    assert ",".join(carrier.QUEUES) == parts.QUEUES
    assert {route["queue"] for route in carrier.ROUTES.values()} <= set(carrier.QUEUES)


def test_nothing_is_remembered_and_nothing_is_taken_for_done_too_early() -> None:
    conf = app.conf
    assert conf.result_backend in {None, "disabled://"}
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost) == (True, True)
    assert conf.accept_content == ["json"]
    assert conf.task_publish_retry is False


@pytest.mark.django_db(transaction=True)
def test_a_worker_keeps_a_sound_connection_from_task_to_task_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", carrier.CONNECTION_S)
    connection.close()
    connection.ensure_connection()
    kept, task = connection.connection, import_module("portal.tasks").send_message
    for _ in range(3):
        carrier.let_go_of_broken_connections(task=task)
    assert connection.connection is kept
    connection.errors_occurred = True
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    carrier.let_go_of_broken_connections(task=task)
    assert connection.connection is None
    assert app.conf.CELERY_DB_REUSE_MAX > 10**9


@pytest.fixture
def hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A broker of our own that has answered once and can be stopped in its tracks."""
    process = redis_server.start(tmp_path, tmp_path / "redis.log")
    redis_server.wait_until_ready(tmp_path, process)
    monkeypatch.setattr(carrier, "post", Post(app, redis_server.redis_url(tmp_path), str(PREFIX)))
    monkeypatch.setattr(carrier, "breaker", Breaker(pause_s=5))
    assert nudge(TASK, "warm-up") is True
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def timed() -> tuple[bool, float]:
    began = time.monotonic()
    return nudge(TASK, "some-id"), time.monotonic() - began


def test_a_hung_broker_costs_a_second_once(hung: subprocess.Popen[bytes]) -> None:
    hung.send_signal(signal.SIGSTOP)
    went_out, took = timed()
    assert (went_out, took < 1.4) == (False, True)
    for _ in range(3):
        went_out, took = timed()
        assert (went_out, took < 0.1) == (False, True)


def test_a_dead_broker_costs_nothing(hung: subprocess.Popen[bytes]) -> None:
    hung.kill()
    hung.wait()
    went_out, took = timed()
    assert (went_out, took < 0.5) == (False, True)


def test_a_socket_is_spelt_celerys_way() -> None:
    assert carrier.broker_url("unix:///var/r.sock") == "redis+socket:///var/r.sock"
    assert carrier.broker_url("redis://redis:6379/0") == "redis://redis:6379/0"
    assert settings.REDIS_URL.startswith("unix://")
