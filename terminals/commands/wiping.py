"""After a factory reset: the machine has no keys any more, and neither has its record (protocol §10)."""

from __future__ import annotations

from functools import partial

import structlog
from django.db import transaction
from django.utils import timezone

from terminals import inbox
from terminals.models import Terminal

log = structlog.get_logger(__name__)
KEYLESS = {
    **dict.fromkeys(("sign_key", "sign_kid", "enc_key", "enc_kid"), None),
    **dict.fromkeys(("pending_sign_key", "pending_sign_kid", "pending_enc_key", "pending_until"), None),
    **dict.fromkeys(("previous_sign_key", "previous_sign_kid"), None),
    **dict.fromkeys(("offline_key", "pending_offline_key", "pending_nonce_digest"), ""),
}


def wiped(terminal_id: str) -> None:
    """Forget the keys, in the caller's transaction: the record waits to be paired anew, or is revoked.

    A terminal that was stopped stays out for good; any other may be paired again.
    """
    record = Terminal.objects.filter(pk=terminal_id)
    stopped = record.filter(state=Terminal.State.QUARANTINED)
    stopped.update(state=Terminal.State.REVOKED, revoked_at=timezone.now(), **KEYLESS)
    record.filter(state=Terminal.State.ACTIVE).update(state=Terminal.State.NEW, **KEYLESS)
    transaction.on_commit(partial(_evict, terminal_id))


def _evict(terminal_id: str) -> None:
    try:
        inbox.evict(terminal_id)
    except inbox.InboxUnavailable:
        log.info("inbox_away", terminal=terminal_id)
