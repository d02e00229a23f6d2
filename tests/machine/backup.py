"""A server that is put back to an earlier state: all rows about one terminal, as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core import serializers
from django.db import transaction
from django.db.models import Model, QuerySet

from terminals.models import (
    Command,
    CommandEvent,
    CommandToken,
    Receipt,
    Terminal,
    TerminalAlert,
    TerminalStatus,
)


@dataclass(frozen=True)
class Backup:
    """What a database remembered of a terminal."""

    terminal_id: str
    sign_kid: str | None
    rows: str


def _rows(terminal_id: str) -> list[QuerySet[Any]]:
    """From what nothing points at to what everything points at."""
    return [
        TerminalAlert.objects.filter(terminal_id=terminal_id),
        Receipt.objects.filter(terminal_id=terminal_id),
        CommandEvent.objects.filter(command__terminal_id=terminal_id),
        CommandToken.objects.filter(command__terminal_id=terminal_id),
        Command.objects.filter(terminal_id=terminal_id),
        TerminalStatus.objects.filter(terminal_id=terminal_id),
    ]


def take(terminal_id: str) -> Backup:
    """Remember."""
    found: list[Model] = [row for rows in reversed(_rows(terminal_id)) for row in rows.order_by("pk")]
    row = Terminal.objects.get(pk=terminal_id)
    text = serializers.serialize("json", [row, *found])
    return Backup(terminal_id, row.sign_kid, text)


def restore(backup: Backup) -> None:
    """Forget everything since."""
    with transaction.atomic():
        Command.objects.filter(terminal_id=backup.terminal_id).update(superseded_by=None)
        for rows in _rows(backup.terminal_id):
            rows.delete()
        for row in serializers.deserialize("json", backup.rows):
            row.save()
