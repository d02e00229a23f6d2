"""A server that is put back to an earlier state, and one that is emptied for the next run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model, QuerySet

from portal.audit_chain import fence
from terminals.models import (
    Command,
    CommandEvent,
    CommandToken,
    IssuerKey,
    Keyset,
    Receipt,
    Terminal,
    TerminalAlert,
    TerminalStatus,
)

Rows = list[tuple[type[Model], list[Model]]]


@dataclass(frozen=True)
class Backup:
    """What a database remembered of a terminal: its own row, and all rows about it."""

    terminal_id: str
    sign_kid: str | None
    terminal: dict[str, Any]
    rows: Rows


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
    row: dict[str, Any] = {**Terminal.objects.filter(pk=terminal_id).values().get()}
    rows: Rows = [(query.model, list(query)) for query in reversed(_rows(terminal_id))]
    return Backup(terminal_id, row["sign_kid"], row, rows)


def restore(backup: Backup) -> None:
    """Forget everything since."""
    with transaction.atomic():
        Command.objects.filter(terminal_id=backup.terminal_id).update(superseded_by=None)
        for query in _rows(backup.terminal_id):
            query.delete()
        Terminal.objects.filter(pk=backup.terminal_id).update(**backup.terminal)
        for model, rows in backup.rows:
            model._base_manager.bulk_create(rows)


def empty() -> None:
    """No terminal, no merchant, nothing that happened; the issuer's keys stay."""
    stay = {IssuerKey._meta.db_table, Keyset._meta.db_table}
    ours = [model for app in ("portal", "terminals") for model in apps.get_app_config(app).get_models()]
    fence.take_down(connection, fence.EMPTYING)
    with transaction.atomic(), connection.cursor() as cursor:
        for table in {model._meta.db_table for model in ours} - stay:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
