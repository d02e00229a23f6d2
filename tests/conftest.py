"""What every test stands on: a real server that speaks Redis, empty at the start of each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from pytest_django import DjangoDbBlocker

from portal import redis_server
from portal.audit_chain import fence
from portal.celery import breaker
from terminals import inbox


@pytest.fixture(scope="session", autouse=True)
def redis_process() -> Iterator[None]:
    """The embedded server, once per run, on a socket in the run's own state folder."""
    process = redis_server.start(settings.REKEY_VAR, settings.REKEY_VAR / "redis.log")
    try:
        redis_server.wait_until_ready(settings.REKEY_VAR, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(settings.REKEY_VAR, ignore_errors=True)


@pytest.fixture
def redis_client(redis_process: None) -> Iterator[redis.Redis]:
    """A client of that server."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture(autouse=True)
def clean_redis(redis_client: redis.Redis) -> None:
    """Nothing is left over from the test before."""
    redis_client.flushall()
    breaker.reset()
    inbox.breaker.reset()
    cache.clear()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """A migrated database whose audit trail is fenced in; rows may only be deleted, for the next test."""
    with django_db_blocker.unblock():
        assert fence.missing(connection) == []
        fence.take_down(connection, fence.EMPTYING)
