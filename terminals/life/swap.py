"""A broken or lost terminal is replaced by another unit (protocol §1.4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from portal.audit import Tag, record
from terminals import commands, requests
from terminals.life import keyring, pairing_codes
from terminals.models import Command, Operator, Terminal
from terminals.protocol import MESSAGE, OPEN, SET_CREDENTIAL

State = Terminal.State
# The reason of what only the old unit could have read or done.
SWAPPED: Final = "swapped"
# Who must choose a password and is asked to: commands of this requester are no recovery of anybody.
SERVER: Final = "server"
# For how long after pairing operators are still asked who could not be at once, for too much was open.
ASK_FOR: Final = timedelta(days=7)
# Swaps longer ago than this are not looked at any more, nor more than so many.
LOOK_BACK: Final = timedelta(days=90)
SUCCESSORS: Final = 1000
BATCH: Final = 100


class CannotSwap(Exception):
    """`reason` is over (revoked or replaced already), same, taken (registered elsewhere) or in_use."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def swap(old: Terminal, unit: Terminal, by: str, reason: str = Terminal.StopReason.SWAPPED) -> Terminal:
    """Put `unit` in the place of `old`, all in one transaction; the new record, to be paired next.

    `unit` may be a new row, or one of the same merchant that waits for its first pairing. It gets the
    operators, who choose new passwords once it is paired. What waited for the old unit moves along, or ends
    so that the merchant is asked again. The old record is revoked and names its successor. Raises CannotSwap.
    """
    try:
        with transaction.atomic():
            return _swap(old.pk, unit, by, reason)
    except IntegrityError:
        raise CannotSwap("taken") from None


def _swap(old_id: str, unit: Terminal, by: str, reason: str) -> Terminal:
    old = Terminal.objects.select_for_update().get(pk=old_id)
    if old.state == State.REVOKED or old.replaced_by_id is not None:
        raise CannotSwap("over")
    new = _place(old, unit)
    merchant = old.store.merchant
    _copy_operators(old, new)
    _hand_over(old, new, by)
    now = timezone.now()
    Terminal.objects.filter(pk=old.pk).update(
        state=State.REVOKED,
        revoked_at=now,
        stopped_at=old.stopped_at or now,
        stop_reason=old.stop_reason or reason,
        replaced_by=new,
        **keyring.DISTRUSTED,
    )
    record(Tag.TERMINAL_SWAPPED, actor=by, merchant=merchant, subject=old.pk, by=new.pk, reason=reason)
    transaction.on_commit(partial(keyring.forget, old.pk))
    return new


def _place(old: Terminal, unit: Terminal) -> Terminal:
    """The new unit's row, locked; stored now if it is new."""
    if unit.pk == old.pk or unit.serial == old.serial or unit.number == old.number:
        raise CannotSwap("same")
    known = Terminal.objects.select_for_update().filter(pk=unit.pk).first()
    if known is None:
        unit.save(force_insert=True)
        return unit
    if known.store.merchant_id != old.store.merchant_id:
        raise CannotSwap("taken")
    if known.state not in (State.NEW, State.UNCONFIRMED) or known.operators.exists():
        raise CannotSwap("in_use")
    known.name, known.store = unit.name, unit.store
    known.save(update_fields=["name", "store"])
    return known


def _copy_operators(old: Terminal, new: Terminal) -> None:
    Operator.objects.bulk_create(
        Operator(terminal=new, number=operator.number, name=operator.name, role=operator.role)
        for operator in old.operators.all()
    )


def _hand_over(old: Terminal, new: Terminal, by: str) -> None:
    """What the new unit can do as well moves to it, unsigned; the rest ends with a reason people are told."""
    pairing_codes.revoke_pairing_codes(old)
    requests.end_open(old)
    for command in Command.objects.filter(terminal=old, state__in=OPEN):
        if not (_moves(command) and commands.readdress(command, new)):
            commands.end(command, actor=by, reason=SWAPPED)


def _moves(command: Command) -> bool:
    """A text for the idle screen and a choice at the keypad mean the same at any unit."""
    return command.kind == MESSAGE or (command.kind == SET_CREDENTIAL and command.is_choice)


def ask_to_choose(terminal: Terminal) -> int:
    """Have every operator of a replacement choose a password, as far as there is room; how many were asked.

    For a terminal that replaces none, nothing happens; nor for operators who have been asked already.
    """
    if terminal.state != State.ACTIVE or not Terminal.objects.filter(replaced_by=terminal).exists():
        return 0
    asked = 0
    for operator in _unasked(terminal):
        try:
            commands.issue(
                terminal, SET_CREDENTIAL, operator_number=operator.number, choose=True, requested_by=SERVER
            )
        except commands.CannotIssue:
            break
        asked += 1
    return asked


def _unasked(terminal: Terminal) -> list[Operator]:
    return list(terminal.operators.exclude(Exists(_asked())).order_by("number"))


def _asked() -> QuerySet[Command]:
    """What has been sent, or is on its way, to the operator of the outer query."""
    told = Q(requested_by=SERVER) | Q(state__in=OPEN)
    return Command.objects.filter(
        told, terminal=OuterRef("terminal"), operator_number=OuterRef("number"), kind=SET_CREDENTIAL
    )


def ask_due(now: datetime) -> int:
    """Ask operators of replacements who were too many to be asked at once; how many."""
    unasked = Operator.objects.filter(terminal=OuterRef("pk")).exclude(Exists(_asked()))
    replaced = Terminal.objects.filter(revoked_at__gt=now - LOOK_BACK, replaced_by__isnull=False)
    successors = replaced.order_by("-revoked_at").values_list("replaced_by", flat=True)[:SUCCESSORS]
    fresh = Terminal.objects.filter(
        pk__in=list(successors), state=State.ACTIVE, activated_at__gt=now - ASK_FOR, tampered_at__isnull=True
    )
    return sum(ask_to_choose(terminal) for terminal in fresh.filter(Exists(unasked))[:BATCH])
