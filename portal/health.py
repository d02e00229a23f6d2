"""Is this process alive, and could a reset be carried out right now?"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from portal.breaker import Breaker

PROBE_WITHIN_S = 1.0
HEARTBEAT_KEY = "rekey:worker:heartbeat"
HEARTBEAT_LASTS_S = 15
WITH_KEY, WITHOUT_KEY = "with-key", "without-key"

# A hung database holds its probe for as long as it likes; two waiting ones are enough.
_probes = Breaker(pause_s=0, width=2)


def heartbeat() -> None:
    """Leave word, from a worker on beat's call, that work gets done and whether it can be signed."""
    word = WITH_KEY if _holds_a_key(Path(settings.REKEY_ISSUER_KEY_FILE)) else WITHOUT_KEY
    with _client() as client:
        client.set(HEARTBEAT_KEY, word, ex=HEARTBEAT_LASTS_S)


def _holds_a_key(named: Path) -> bool:
    """Whether the file, or some key file in the folder, can be read here."""
    files = sorted(named.glob("signing*.jwk")) if named.is_dir() else [named]
    return any(file.is_file() and os.access(file, os.R_OK) for file in files)


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PROBE_WITHIN_S,
        socket_connect_timeout=PROBE_WITHIN_S,
        retry=None,
        decode_responses=True,
    )


def database_answers() -> bool:
    """Whether the database answers a trivial question within a second."""
    return _in_time(_ask_database)


def _ask_database() -> None:
    try:
        with _probes.guard(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _in_time(probe: Callable[[], None]) -> bool:
    """Run the probe in a thread that may be left behind, because a hung socket cannot be interrupted."""
    passed = threading.Event()

    def run() -> None:
        try:
            probe()
        except Exception:  # noqa: BLE001 - whatever went wrong, the answer is no
            return
        passed.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PROBE_WITHIN_S)
    return passed.is_set()


def redis_and_worker() -> dict[str, bool]:
    """Whether Redis answers within a second, and what the last heartbeat of a worker says."""
    try:
        with _client() as client:
            word = client.get(HEARTBEAT_KEY)
    except redis.RedisError:
        return {"redis": False, "worker": False, "signing_key": False}
    return {"redis": True, "worker": word is not None, "signing_key": word == WITH_KEY}


def state() -> dict[str, bool]:
    """Each part that a reset needs, and whether it is there; takes at most two seconds."""
    return {"database": database_answers(), **redis_and_worker()}


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Each part by name; 503 when one that a reset needs is missing.

    For people and alerts. Route by /healthz: without Redis or a worker the pages still answer, and what they
    take in is carried out later.
    """
    parts = state()
    ready = all(parts.values())
    return JsonResponse({"status": "ok" if ready else "unready", **parts}, status=200 if ready else 503)
