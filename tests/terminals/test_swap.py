"""A replacement unit: operators come along, what can move moves, the rest is asked for again."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery
from terminals.life import lives, pairing_codes, swap
from terminals.models import Command, Terminal
from terminals.protocol import MESSAGE, UNLOCK
from tests.cast import (
    OPERATORS,
    PairedTill,
    make_model,
    make_operator,
    make_other_merchant,
    make_terminal,
    payload,
)
from tests.portal.parallel import at_once
from tests.terminals.units import Unit
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

pytestmark = pytest.mark.django_db(transaction=True)
State = Terminal.State


def unit_for(old: Terminal, **facts: Any) -> Terminal:
    """A new machine as its sticker describes it, not stored yet."""
    named = {"number": "B0000001", "serial": "RK-NEW-1", "name": old.name, "store": old.store}
    return Terminal(**{**named, "model": make_model(), **facts})


def replace(till: PairedTill, **facts: Any) -> Terminal:
    """Swap the till for a new machine."""
    return swap.swap(till.terminal, unit_for(till.terminal, **facts), "user:1")


def pair(terminal: Terminal) -> PairedTill:
    """Pair a machine that can do everything."""
    cap = {"keypad": "digits", "cmds": ["set_credential", "unlock", "lock", "message"]}
    unit = Unit()
    answer = unit.enroll(pairing_codes.create_pairing_code(terminal, "user:1").code, cap=cap)
    assert unit.confirm(answer).status_code == 200
    return unit.as_till(terminal.pk)


def say(till: PairedTill) -> Command:
    """A text for the idle screen."""
    return commands.issue(till.terminal, MESSAGE, args={"text": "你好"}, requested_by="user:1")


class TestRecords:
    def test_the_new_one_stands_in_the_place_of_the_old_one(self, till: PairedTill) -> None:
        new = replace(till)
        old = Terminal.objects.get(pk=till.terminal.pk)
        assert (new.state, new.name, new.store) == (State.NEW, old.name, old.store)
        assert (old.state, old.replaced_by, old.stop_reason) == (State.REVOKED, new, "swapped")
        assert {operator.number: operator.name for operator in new.operators.all()} == OPERATORS
        assert AuditEvent.objects.filter(tag=Tag.TERMINAL_SWAPPED, subject=old.pk).count() == 1

    def test_the_old_one_is_told_that_it_is_over(self, till: PairedTill) -> None:
        replace(till)
        answer = Client().post("/terminal/v1/receipts", {"receipts": ["x"]}, content_type="application/json",
                               headers=till.authorization())  # fmt: skip
        assert answer.json()["code"] == "revoked"

    def test_a_machine_that_waits_in_the_shop_already_is_taken(self, till: PairedTill) -> None:
        spare = make_terminal(operators=False, name="备用机")
        spare.name = "前台"
        assert swap.swap(till.terminal, spare, "user:1").pk == spare.pk
        assert Terminal.objects.get(pk=spare.pk).name == "前台" and spare.operators.count() == 5

    @pytest.mark.parametrize(
        ("facts", "reason"), [({"number": "A0000001"}, "taken"), ({"serial": "RK-TAKEN"}, "taken")]
    )
    def test_anothers_machine_is_not(self, till: PairedTill, facts: dict[str, str], reason: str) -> None:
        make_terminal(make_other_merchant(), number="A0000001", serial="RK-TAKEN")
        with pytest.raises(swap.CannotSwap, match=reason):
            replace(till, **facts)
        assert Terminal.objects.get(pk=till.terminal.pk).state == State.ACTIVE

    def test_nor_one_of_another_merchant_that_waits_there(self, till: PairedTill) -> None:
        with pytest.raises(swap.CannotSwap, match="taken"):
            swap.swap(till.terminal, make_terminal(make_other_merchant(), operators=False), "user:1")

    def test_nor_one_that_is_in_use_or_is_the_same(self, till: PairedTill) -> None:
        for unit, reason in ((make_terminal(), "in_use"), (till.terminal, "same")):
            with pytest.raises(swap.CannotSwap, match=reason):
                swap.swap(till.terminal, unit, "user:1")

    def test_nobody_replaces_a_terminal_twice(self, till: PairedTill) -> None:
        replace(till)
        with pytest.raises(swap.CannotSwap, match="over"):
            replace(till, number="B0000002", serial="RK-NEW-2")


class TestWhatWaited:
    def test_a_sealed_password_comes_back_to_the_merchant(self, till: PairedTill) -> None:
        command = delivered(till)
        replace(till)
        assert (fresh(command).state, fresh(command).reason) == (Command.State.EXPIRED, "swapped")
        assert not fresh(command).sealed and tokens_in_inbox(till.terminal) == []

    def test_a_choice_and_a_text_go_to_the_new_one_under_the_same_id(self, till: PairedTill) -> None:
        choice, text = delivered(till, sealed_password=None, choose=True), say(till)
        new = replace(till)
        delivery.sweep()
        for command in (choice, text):
            moved = fresh(command)
            assert (moved.terminal_id, moved.state, moved.jti) == (new.pk, Command.State.QUEUED, None)
        now = pair(new)
        delivery.sweep()
        tokens = [payload(token) for token in tokens_in_inbox(now.terminal)]
        assert {choice.pk, text.pk} < {claims["cid"] for claims in tokens}
        assert {claims["aud"] for claims in tokens} == {new.pk}

    def test_what_is_about_the_old_machine_ends(self, till: PairedTill) -> None:
        command = commands.issue(till.terminal, UNLOCK, operator_number="03", requested_by="user:1")
        replace(till)
        assert (fresh(command).state, fresh(command).reason) == (Command.State.EXPIRED, "swapped")

    def test_waiting_for_a_pairing_does_not_count_as_being_stuck(self, till: PairedTill) -> None:
        text = say(till)
        replace(till)
        for _ in range(12):
            Command.objects.update(claimed_until=None)
            delivery.sweep()
        assert fresh(text).claims <= 1


class TestOperators:
    def test_once_paired_everybody_is_asked_to_choose_a_password(self, till: PairedTill) -> None:
        new = pair(replace(till)).terminal
        asked = Command.objects.filter(terminal=new)
        assert sorted(asked.values_list("operator_number", flat=True)) == sorted(OPERATORS)
        assert all(command.is_choice and command.requested_by == "server" for command in asked)

    def test_pairing_it_again_asks_nobody_twice(self, till: PairedTill) -> None:
        new = pair(replace(till)).terminal
        pair(new)
        lives.sweep()
        assert Command.objects.filter(terminal=new).count() == 5

    def test_more_than_there_is_room_for_are_asked_in_turn(self, till: PairedTill) -> None:
        for number in range(10, 50):
            make_operator(till.terminal, str(number), f"收银{number}")
        new = pair(replace(till)).terminal
        assert Command.objects.filter(terminal=new).count() == 32
        for command in Command.objects.filter(terminal=new):
            commands.applied(command, timezone.now())
        lives.sweep()
        assert Command.objects.filter(terminal=new).count() == 45

    def test_a_terminal_that_replaces_none_asks_nobody(self, issuer_keys: object) -> None:
        terminal = make_terminal()
        pair(terminal)
        lives.sweep()
        assert not Command.objects.exists()

    def test_one_paired_long_ago_is_left_alone(self, till: PairedTill) -> None:
        new = pair(replace(till)).terminal
        make_operator(new, "77", "新来的")
        Terminal.objects.filter(pk=new.pk).update(activated_at=timezone.now() - timedelta(days=8))
        lives.sweep()
        assert not Command.objects.filter(operator_number="77").exists()


class TestRaces:
    def test_a_swap_and_a_delivery_at_once_leave_nothing_behind(self, till: PairedTill) -> None:
        for round_ in range(6):
            old = till if round_ == 0 else pair(make_terminal())
            command = reset(old)
            facts = {"number": f"C000000{round_}", "serial": f"RK-C-{round_}"}
            at_once(partial(delivery.deliver, command.pk), partial(replace, old, **facts))
            assert (fresh(command).state, fresh(command).reason) == (Command.State.EXPIRED, "swapped")
            assert tokens_in_inbox(old.terminal) == []

    def test_a_swap_and_a_reset_at_once_end_with_the_reset_told(self, till: PairedTill) -> None:
        def attempt() -> None:
            with suppress(commands.CannotIssue):
                reset(till)

        at_once(attempt, partial(replace, till))
        assert not Command.objects.filter(terminal=till.terminal, state__in=commands.OPEN).exists()

    def test_of_two_swaps_at_once_one_succeeds(self, till: PairedTill) -> None:
        def attempt(number: int) -> bool:
            try:
                replace(till, number=f"D000000{number}", serial=f"RK-D-{number}")
            except swap.CannotSwap:
                return False
            return True

        assert sorted(at_once(*(partial(attempt, number) for number in range(3)))) == [False, False, True]
        assert Terminal.objects.filter(serial__startswith="RK-D").count() == 1
