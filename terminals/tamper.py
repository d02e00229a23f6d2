"""A terminal that was opened by force: nothing is sent to it until a person has looked (protocol §6)."""

from __future__ import annotations

from functools import partial

import structlog
from django.db import transaction
from django.utils import timezone

from portal.audit import Tag, record
from terminals import alerts, inbox
from terminals.models import Terminal, TerminalAlert

log = structlog.get_logger(__name__)


def note(terminal: Terminal) -> bool:
    """The terminal says that it was opened: stop what is under way to it. Whether that was news."""
    with transaction.atomic():
        untouched = Terminal.objects.filter(pk=terminal.pk, tampered_at__isnull=True)
        news = untouched.update(tampered_at=timezone.now()) == 1
        alerts.raise_alert(TerminalAlert.Kind.TAMPER, terminal)
        transaction.on_commit(partial(_empty, terminal.pk))
    return news


def clear(terminal: Terminal, by: str, reason: str) -> bool:
    """A person vouches for the machine: what waited for it goes out again. Whether this call did it."""
    stopped = Terminal.objects.filter(pk=terminal.pk, tampered_at__isnull=False)
    with transaction.atomic():
        if stopped.update(tampered_at=None) != 1:
            return False
        still_open = TerminalAlert.objects.filter(terminal=terminal, kind=TerminalAlert.Kind.TAMPER)
        for alert in still_open.filter(cleared_at__isnull=True):
            alerts.clear(alert, by, reason)
        merchant = terminal.store.merchant
        record(Tag.TAMPER_CLEARED, actor=by, merchant=merchant, subject=terminal.pk, reason=reason)
    return True


def _empty(terminal_id: str) -> None:
    """Take out of the inbox what the rows no longer offer."""
    try:
        inbox.clear(terminal_id)
    except inbox.InboxUnavailable:
        log.warning("inbox_away", terminal=terminal_id)
