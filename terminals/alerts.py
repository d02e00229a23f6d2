"""Alerts about terminals: raised by what they report, counted while open, cleared by a person."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone

from portal.audit import Tag, record
from terminals.models import Command, Terminal, TerminalAlert

# Sent with `alert` when a new matter is raised, inside the transaction that stored it; not when it recurs.
alert_raised = Signal()


def raise_alert(
    kind: str, terminal: Terminal, *, command: Command | None = None, subject: str = "", **facts: Any
) -> TerminalAlert:
    """The open alert of this matter: a new one, or the one that is open already, counted once more."""
    matter = {"terminal": terminal, "kind": kind, "subject": subject or (command.pk if command else "")}
    now = timezone.now()
    with transaction.atomic():
        alert, new = TerminalAlert.objects.get_or_create(
            **matter, cleared_at=None, defaults={"command": command, "facts": facts}
        )
        if new:
            record(
                Tag.ALERT_RAISED,
                actor=terminal.id,
                merchant=terminal.store.merchant,
                subject=alert.command_id or terminal.id,
                kind=kind,
            )
            alert_raised.send(sender=TerminalAlert, alert=alert)
        else:
            same = TerminalAlert.objects.filter(pk=alert.pk)
            same.update(count=F("count") + 1, last_at=now, facts=alert.facts | facts)
    return alert


def clear(alert: TerminalAlert, by: str, reason: str) -> bool:
    """A person has looked at it; whether this call closed it."""
    still_open = TerminalAlert.objects.filter(pk=alert.pk, cleared_at__isnull=True)
    with transaction.atomic():
        closed = still_open.update(cleared_at=timezone.now(), cleared_by=by, cleared_reason=reason) == 1
        if closed:
            merchant = alert.terminal.store.merchant
            record(Tag.ALERT_CLEARED, actor=by, merchant=merchant, subject=alert.terminal_id, kind=alert.kind)
    return closed
