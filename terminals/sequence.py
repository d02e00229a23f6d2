"""Sequence numbers after a restored database: go on above what a terminal has seen, and tell people."""

from __future__ import annotations

from django.db import transaction

from portal.audit import Tag, record
from terminals.alerts import raise_alert
from terminals.claims import ReceiptClaims
from terminals.models import CommandToken, Receipt, Terminal, TerminalAlert
from terminals.protocol import APPLIED, REJECTED

REPLAYED = "seq_replayed"


def catch_up(terminal: Terminal, kid: str, claims: ReceiptClaims, token: CommandToken | None) -> bool:
    """Take over the terminal's signed high-water mark if it is above the numbers we remember giving out.

    Only a statement under the present key about a token of that key speaks of the present numbers: they
    start anew with each key. Returns whether we were behind, and people were told.
    """
    of_this_key = token is None or token.jkt == kid
    if kid != terminal.sign_kid or not of_this_key or claims.hwm <= terminal.last_seq:
        return False
    behind = Terminal.objects.filter(pk=terminal.pk, sign_kid=kid, last_seq__lt=claims.hwm)
    ours = terminal.last_seq
    with transaction.atomic():
        told = behind.update(last_seq=claims.hwm) == 1
        if told:
            _tell(terminal, claims, ours)
    terminal.refresh_from_db(fields=["last_seq"])
    return told


def explain(terminal: Terminal, claims: ReceiptClaims) -> None:
    """Tell people of a refused number, unless another command of ours has used it up since.

    A restored server may have given out, a second time and before it heard anything, just the numbers that
    the terminal has seen: then its mark is not above ours, but no receipt of ours explains it.
    """
    spent = Receipt.objects.filter(terminal=terminal, hwm=claims.hwm, status__in=(APPLIED, REJECTED))
    if not spent.exclude(jti=claims.jti).exclude(reason=REPLAYED).exists():
        _tell(terminal, claims, terminal.last_seq)


def _tell(terminal: Terminal, claims: ReceiptClaims, ours: int) -> None:
    replayed = claims.rc == REPLAYED
    kind = TerminalAlert.Kind.SEQ_REPLAYED if replayed else TerminalAlert.Kind.HWM_AHEAD
    merchant, about = terminal.store.merchant, claims.cid or ""
    hwm = claims.hwm
    record(Tag.SEQ_REPLAYED, actor=terminal.id, merchant=merchant, subject=about, hwm=hwm, ours=ours)
    raise_alert(kind, terminal, hwm=hwm, ours=ours)
