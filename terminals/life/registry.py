"""Adding terminals to a shop and changing what people call them."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from portal.audit import Tag, record
from terminals.life import pairing_codes
from terminals.models import Terminal


class AlreadyRegistered(Exception):
    """Somebody was first with this terminal number or serial."""


def add(terminal: Terminal, by: str) -> Terminal:
    """Store a new terminal, not paired yet. Raises AlreadyRegistered."""
    try:
        with transaction.atomic():
            terminal.save(force_insert=True)
            merchant = terminal.store.merchant
            record(Tag.TERMINAL_ADDED, actor=by, merchant=merchant, subject=terminal.pk)
    except IntegrityError:
        raise AlreadyRegistered(terminal.number) from None
    return terminal


def rename(terminal: Terminal, by: str) -> None:
    """Store a terminal's new name and store, and nothing else of it."""
    with transaction.atomic():
        terminal.save(update_fields=["name", "store"])
        merchant = terminal.store.merchant
        record(Tag.TERMINAL_CHANGED, actor=by, merchant=merchant, subject=terminal.pk)


def withdraw_codes(terminal: Terminal, by: str) -> bool:
    """Stop the pairing codes that are still alive; whether there was one."""
    with transaction.atomic():
        stopped = pairing_codes.revoke_pairing_codes(terminal)
        if stopped:
            merchant = terminal.store.merchant
            record(Tag.PAIRING_REVOKED, actor=by, merchant=merchant, subject=terminal.pk)
    return bool(stopped)
