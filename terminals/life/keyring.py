"""The keys of terminals: which are taken, how new ones come into force, and who must hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from django.utils import timezone

from terminals import inbox, jose
from terminals.models import IssuerKey, Terminal, TerminalStatus

log = structlog.get_logger(__name__)
NOTHING_PENDING: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("pending_sign_key", "pending_sign_kid", "pending_enc_key", "pending_until")),
    **dict.fromkeys(("pending_offline_key", "pending_nonce_digest"), ""),
    "pending_facts": {},
}
# What a terminal that is not trusted any more keeps: the key it is known by, so that it is told what it is.
DISTRUSTED: Final[Mapping[str, Any]] = {
    **NOTHING_PENDING,
    **dict.fromkeys(("previous_sign_key", "previous_sign_kid")),
    "offline_key": "",
}
KEYLESS: Final[Mapping[str, Any]] = {
    **DISTRUSTED,
    **dict.fromkeys(("sign_key", "sign_kid", "enc_key", "enc_kid")),
}


def in_use(sign_key: jose.Jwk, enc_key: jose.Jwk, *, of: str = "") -> bool:
    """Whether one of the keys belongs to a terminal, or to an issuer.

    The terminal `of` may offer again what it offers already, and keep its X25519 key.
    """
    sign, enc = jose.kid16(sign_key), jose.kid16(enc_key)
    others = Terminal.objects.exclude(pk=of)
    # One index each: a single OR over these columns would read the whole table.
    taken = (
        Terminal.objects.filter(sign_kid=sign),
        Terminal.objects.filter(previous_sign_kid=sign),
        others.filter(pending_sign_kid=sign),
        others.filter(enc_kid=enc),
        IssuerKey.objects.filter(kid=sign),
    )
    return any(rows.exists() for rows in taken)


def put_in_force(terminal: Terminal, *, rolled: bool) -> None:
    """The pending keys become the terminal's keys, in the caller's transaction and under its row lock.

    After a key roll the same machine goes on: receipts under the key before are still taken. After an
    enrollment it is another machine, or one that forgot everything: what was known of it is forgotten, the
    history stays. Either way sequence numbers start again (protocol §1.4).
    """
    enc_key = terminal.pending_enc_key or {}
    terminal.previous_sign_key = terminal.sign_key if rolled else None
    terminal.previous_sign_kid = terminal.sign_kid if rolled else None
    terminal.sign_key, terminal.sign_kid = terminal.pending_sign_key, terminal.pending_sign_kid
    terminal.enc_key, terminal.enc_kid = enc_key, jose.kid16(enc_key)
    terminal.last_seq = 0
    if rolled:
        _forget_number(terminal)
    else:
        _start_over(terminal)
    kept = {} if rolled else {"pending_nonce_digest": terminal.pending_nonce_digest}
    for name, value in {**NOTHING_PENDING, **kept}.items():
        setattr(terminal, name, value)
    terminal.save()


def _start_over(terminal: Terminal) -> None:
    facts = terminal.pending_facts
    terminal.capabilities, terminal.firmware = facts.get("capabilities", {}), facts.get("firmware", "")
    terminal.offline_key, terminal.offline_counter = terminal.pending_offline_key, 0
    terminal.state = Terminal.State.ACTIVE
    terminal.activated_at = timezone.now()
    # It is calling at this moment; what it said before and what still waits to be copied is older.
    TerminalStatus.objects.filter(terminal=terminal).delete()
    TerminalStatus.objects.create(terminal=terminal, last_seen_at=terminal.activated_at)


def _forget_number(terminal: Terminal) -> None:
    """The highest number it has seen was one of the old key; an older report must not bring it back."""
    status = TerminalStatus.objects.filter(terminal=terminal)
    status.update(reported_hwm=None)
    status.filter(last_seen_at__isnull=False).update(last_seen_at=timezone.now())


def forget_bearers(terminal_id: str) -> None:
    """Have every poll process look at the terminal's keys and state again; what is in its inbox stays."""
    try:
        inbox.evict(terminal_id)
    except inbox.InboxUnavailable:
        log.warning("inbox_away", terminal=terminal_id)


def forget(terminal_id: str) -> None:
    """The same, and empty the inbox: what lies there was meant for another key, or for nobody any more."""
    try:
        inbox.clear(terminal_id)
    except inbox.InboxUnavailable:
        log.warning("inbox_away", terminal=terminal_id)
    forget_bearers(terminal_id)
