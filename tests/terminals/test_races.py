"""Two things at once to one command: neither breaks, and the row tells one story."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest

from terminals import commands, delivery, receipts
from terminals.life import stopping
from terminals.models import Command, CommandToken, Terminal
from terminals.protocol import OPEN
from tests.cast import PairedTill
from tests.portal.parallel import in_parallel
from tests.terminals.work import delivered, fresh, reset

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_receipt_and_a_newer_reset_at_the_same_moment(till: PairedTill) -> None:
    for _ in range(5):
        command = delivered(till)
        receipt, turn = till.receipt(command.token), count()

        def act(receipt: str = receipt, turn: count[int] = turn) -> str:
            if next(turn) % 2:
                return receipts.accept(till.terminal, [receipt])[0].r
            return reset(till).pk

        in_parallel(4, act)
        assert fresh(command).state == State.APPLIED
        assert Command.objects.filter(state__in=OPEN).count() == 1


def test_delivering_withdrawing_and_sweeping_at_the_same_moment(till: PairedTill) -> None:
    for _ in range(5):
        command, turn = reset(till), count()
        steps = (
            lambda pk=command.pk: delivery.deliver(pk),
            lambda pk=command.pk: commands.cancel(pk, "user:1"),
            lambda pk=command.pk: delivery.sweep(),
        )

        def act(turn: count[int] = turn, steps: tuple[object, ...] = steps) -> None:
            step = steps[next(turn) % len(steps)]
            assert callable(step)
            step()

        in_parallel(6, act)
        ended = fresh(command)
        assert ended.state == State.CANCELLED and ended.token == ""
        assert CommandToken.objects.filter(command=command).count() <= 1


def test_stopping_a_terminal_while_commands_are_issued_leaves_none_open(till: PairedTill) -> None:
    turn = count()

    def act() -> None:
        if next(turn) == 3:
            stopping.quarantine(till.terminal, "user:1")
            return
        with suppress(commands.CannotIssue):
            reset(till)

    in_parallel(8, act)
    assert Terminal.objects.get().state == Terminal.State.QUARANTINED
    assert not Command.objects.filter(state__in=OPEN).exists()
