"""After a factory reset: the machine has no keys any more, and neither has its record (protocol §10)."""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django.utils import timezone

from terminals import requests
from terminals.life import keyring
from terminals.models import Terminal


def wiped(terminal_id: str) -> None:
    """Forget the keys, in the caller's transaction: the record waits to be paired anew, or is revoked.

    A terminal that was stopped stays out for good; any other may be paired again.
    """
    record = Terminal.objects.filter(pk=terminal_id)
    stopped = record.filter(state=Terminal.State.QUARANTINED)
    stopped.update(state=Terminal.State.REVOKED, revoked_at=timezone.now(), **keyring.KEYLESS)
    record.filter(state=Terminal.State.ACTIVE).update(state=Terminal.State.NEW, **keyring.KEYLESS)
    for terminal in record:
        requests.end_open(terminal)
    transaction.on_commit(partial(keyring.forget, terminal_id))
