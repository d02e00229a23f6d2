"""Celery doors of the portal: one opaque id in, no logic here."""

from __future__ import annotations

import time

from celery import shared_task
from django.utils import timezone

from portal import changes, conversion, health, known_browsers, limits, reminders
from portal.audit_chain import keeping, links
from portal.messaging import outbox
from portal.session_store import SessionStore


@shared_task
def send_message(message_id: str) -> None:
    """Send one text message."""
    outbox.deliver(message_id)


@shared_task
def sweep_messages() -> None:
    """Offer waiting messages again, settle those that waited too long, and judge what codes come to."""
    outbox.sweep(timezone.now())
    conversion.judge(timezone.now())


@shared_task
def sweep_limits() -> None:
    """Forget counters, sessions, and browsers not seen for long; end changes of addresses that are over."""
    limits.sweep_allowances(time.time())
    known_browsers.sweep(timezone.now())
    SessionStore.clear_expired()
    changes.sweep(timezone.now())


@shared_task
def remind_owners() -> None:
    """Remind owners to confirm addresses that nobody has confirmed for long."""
    reminders.remind(timezone.now())


@shared_task
def heartbeat() -> None:
    """Leave word that beat, broker and a worker reach each other."""
    health.heartbeat()


@shared_task
def seal_audit() -> None:
    """Add new events of the audit trail to its chain."""
    links.seal()


@shared_task
def sign_audit() -> None:
    """Seal what the frequent run left out, sign the newest link, and tell staff where that fails."""
    keeping.keep(timezone.now())
