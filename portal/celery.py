"""Celery: it carries work from the web to the workers and remembers nothing (design D1 to D3)."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import structlog
from celery import Celery, Task
from celery.signals import (
    beat_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_ready,
)
from django.conf import settings
from django.db import close_old_connections, connections
from kombu.entity import Exchange, Queue

from portal.breaker import Breaker, Resting
from portal.checks import insist
from portal.health import heartbeat
from portal.post import Post

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

log = structlog.get_logger(__name__)


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
# A worker's connection to the database lives so long, in seconds.
CONNECTION_S = 60
QUEUES = ("sms", "commands", "housekeeping")
ROUTES = {
    "portal.tasks.send_message": {"queue": "sms"},
    "recovery.tasks.resolve": {"queue": "sms"},
    "recovery.tasks.look_into": {"queue": "sms"},
    "recovery.tasks.look_for_ticket": {"queue": "sms"},
    "terminals.tasks.deliver": {"queue": "commands"},
}
# A sweep that could not start before the next one is due has nothing left to do.
SWEEP = {"expires": 2, "queue": "housekeeping"}
SCHEDULE = {
    "terminals-seen": {
        "task": "terminals.tasks.copy_seen",
        "schedule": 60.0,
        "options": {"queue": "housekeeping", "expires": 50},
    },
    "terminals-sweep": {"task": "terminals.tasks.sweep", "schedule": 2.0, "options": SWEEP},
    "recovery-sweep": {"task": "recovery.tasks.sweep", "schedule": 2.0, "options": SWEEP},
    "desk-watch": {
        "task": "recovery.tasks.watch_desk",
        "schedule": 120.0,
        "options": {"expires": 110, "queue": "housekeeping"},
    },
    "limits-sweep": {
        "task": "portal.tasks.sweep_limits",
        "schedule": 3600.0,
        "options": {"queue": "housekeeping"},
    },
    "owners-remind": {
        "task": "portal.tasks.remind_owners",
        "schedule": 3600.0,
        "options": {"expires": 3000, "queue": "housekeeping"},
    },
    "audit-seal": {
        "task": "portal.tasks.seal_audit",
        "schedule": 10.0,
        "options": {"queue": "housekeeping", "expires": 9},
    },
    "audit-sign": {
        "task": "portal.tasks.sign_audit",
        "schedule": 3600.0,
        "options": {"queue": "housekeeping", "expires": 3000},
    },
    "directory-remind": {
        "task": "terminals.tasks.remind_directory",
        "schedule": 3600.0,
        "options": {"expires": 3000, "queue": "housekeeping"},
    },
    "photos-forget": {
        "task": "recovery.tasks.forget_photos",
        "schedule": 3600.0,
        "options": {"expires": 3000, "queue": "housekeeping"},
    },
    "lives-sweep": {
        "task": "terminals.tasks.sweep_lives",
        "schedule": 60.0,
        "options": {"expires": 60, "queue": "housekeeping"},
    },
    "desk-clocks": {
        "task": "recovery.tasks.sweep_desk",
        "schedule": 20.0,
        "options": {"expires": 15, "queue": "housekeeping"},
    },
    "heartbeat": {"task": "portal.tasks.heartbeat", "schedule": 5.0, "options": SWEEP},
    "messages-sweep": {"task": "portal.tasks.sweep_messages", "schedule": 2.0, "options": SWEEP},
}

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
    # With an exchange of its own each: on a shared one every task would arrive in every queue.
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
    task_default_queue="housekeeping",
    task_routes=ROUTES,
    worker_prefetch_multiplier=1,
    worker_concurrency=2,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    beat_schedule=SCHEDULE,
    # Celery would close the database after every task, and a reset would wait for the next one to be opened.
    CELERY_DB_REUSE_MAX=sys.maxsize,
)
app.autodiscover_tasks(["portal", "terminals", "recovery"])


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Leave the handlers alone: lines go through our redaction, in every process."""


@worker_init.connect
@beat_init.connect
def refuse_wrong_settings(**_: Any) -> None:
    """A worker or beat with wrong settings does not start."""
    insist()


@worker_process_init.connect
def begin_with_own_connections(**_: Any) -> None:
    """A forked child must not share its parent's database sockets, and keeps its own from task to task."""
    connections.close_all()
    for database in connections.settings.values():
        database["CONN_MAX_AGE"] = CONNECTION_S


@task_prerun.connect
@task_postrun.connect
def let_go_of_broken_connections(task: Task[..., Any], **_: Any) -> None:
    """Around each task as around a request: a connection that failed, or is old, is replaced."""
    if not task.request.is_eager:
        close_old_connections()


@worker_ready.connect
def say_hello(**_: Any) -> None:
    """Readiness need not wait for beat's first call."""
    heartbeat()


@worker_ready.connect
def fork_quickly(**_: Any) -> None:
    """Celery collects garbage before each fork, and over all that is loaded by now this outlasts the fork.

    On a busy machine a child that died every second was replaced too late to get anything done.
    """
    gc.collect()
    gc.freeze()


breaker = Breaker(pause_s=5)
post = Post(app, settings.REDIS_URL, str(TRANSPORT["global_keyprefix"]))


def nudge(task: str, ident: str) -> bool:
    """Ask a worker to run the task of this name with `ident`; returns whether that is known to have gone out.

    By name, because tasks import verbs and never the other way round.

    A nudge may be lost, late or doubled. That is fine: rows are the truth and the sweepers come by every two
    seconds, so a broker that is down or hangs costs a request at most about a second, once (design D3).
    """
    try:
        with breaker.guard():
            post.send(task, ident)
    except Resting:
        return False
    except Exception as error:  # noqa: BLE001 - whatever the transport raises, the sweeper covers it
        log.warning("nudge_failed", task=task, error=type(error).__name__)
        return False
    return True
