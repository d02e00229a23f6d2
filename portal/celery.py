"""Celery: it carries work from the web to the workers and remembers nothing (design D1–D3)."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_process_init
from django.conf import settings
from django.db import connections
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

log = structlog.get_logger(__name__)
BREAKER_S = 5.0


def broker_url(redis_url: str) -> str:
    """The same server as Celery spells it: a Unix socket becomes `redis+socket://`."""
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    return redis_url


TRANSPORT = {
    "socket_timeout": settings.REDIS_TIMEOUT,
    "socket_connect_timeout": settings.REDIS_TIMEOUT,
    # A task of a killed worker comes back within seconds; the sweepers are the guarantee all the same.
    "visibility_timeout": 30,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "max_retries": 0,
    "global_keyprefix": "rekey:celery:",
}
SWEEP = {"expires": 2, "queue": "housekeeping"}

app = Celery("rekey")
app.conf.update(
    broker_url=broker_url(settings.REDIS_URL),
    broker_transport_options=TRANSPORT,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_publish_retry=False,
    task_soft_time_limit=25,
    task_time_limit=30,
    task_queues=[Queue("sms"), Queue("commands"), Queue("housekeeping")],
    task_default_queue="housekeeping",
    task_routes={
        "portal.tasks.send_message": {"queue": "sms"},
        "recovery.tasks.resolve": {"queue": "sms"},
        "terminals.tasks.deliver": {"queue": "commands"},
    },
    worker_prefetch_multiplier=1,
    worker_concurrency=2,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    beat_schedule={
        "terminals-sweep": {"task": "terminals.tasks.sweep", "schedule": 2.0, "options": SWEEP},
        "recovery-sweep": {"task": "recovery.tasks.sweep", "schedule": 2.0, "options": SWEEP},
        "messages-sweep": {"task": "portal.tasks.sweep_messages", "schedule": 2.0, "options": SWEEP},
    },
)
app.autodiscover_tasks(["portal", "terminals", "recovery"])


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Leave the handlers alone: lines go through our redaction, in every process."""


@worker_process_init.connect
def drop_inherited_connections(**_: Any) -> None:
    """A forked child must not share its parent's database sockets."""
    connections.close_all()


class Breaker:
    """Spares a server that does not answer: after a failure everybody pauses, and nobody joins a slow queue.

    Shared by all threads of a process. While one try has been out for longer than `PATIENCE_S` others do not
    line up behind it, so a hanging broker costs one caller its time-out and nobody else anything.
    """

    PATIENCE_S = 0.2

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._paused_until = 0.0
        self._oldest_try: float | None = None
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether a try is worth it now; if so, it counts as begun."""
        now = time.monotonic()
        with self._lock:
            waiting = self._oldest_try is not None and now - self._oldest_try > self.PATIENCE_S
            if now < self._paused_until or waiting:
                return False
            self._oldest_try = self._oldest_try or now
            return True

    def ended(self, *, well: bool) -> None:
        """A try ended; a bad end pauses everybody."""
        with self._lock:
            self._oldest_try = None
            self._paused_until = 0.0 if well else time.monotonic() + self._pause_s


breaker = Breaker(BREAKER_S)


def nudge(task: str, ident: str) -> bool:
    """Ask a worker to run the task of this name with `ident`; returns whether that is known to have gone out.

    By name, because tasks import verbs and never the other way round.

    A nudge may be lost, late or doubled. That is fine: rows are the truth and the sweepers come by every two
    seconds, so a broker that is down or hangs costs a request at most about a second, once (design D3).
    """
    if not breaker.allows():
        return False
    try:
        app.send_task(task, args=(ident,), retry=False)
    except Exception as error:  # noqa: BLE001 - whatever the transport raises, the sweeper covers it
        breaker.ended(well=False)
        log.warning("nudge_failed", task=task, error=type(error).__name__)
        return False
    breaker.ended(well=True)
    return True
