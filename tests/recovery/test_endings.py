"""How a reset ends, well or badly, and what can be done about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from recovery import access, endings, steps
from recovery.models import Recovery
from recovery.status import status_of
from terminals import commands
from terminals.models import Command, Operator, Terminal
from tests.cast import PairedTill, make_terminal, pair_on_paper
from tests.recovery.visitor import Visitor, make_shop, texts_to

pytestmark = pytest.mark.django_db
State = Recovery.State


@pytest.fixture
def till() -> PairedTill:
    return make_shop()


ZERO = timedelta()


@pytest.fixture
def visitor(till: PairedTill) -> Visitor:
    return Visitor()


def finish(recovery: Recovery, state: str, **changes: Any) -> None:
    command = recovery.command
    assert command is not None
    commands.move(command, Command.State.FETCHED, fetched_at=timezone.now())
    commands.move(command, state, **changes)


def test_applied_closes_the_recovery_and_tells_the_phone_once(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    finish(recovery, Command.State.APPLIED, applied_at=timezone.now())
    assert visitor.recovery.state == State.DONE
    assert texts_to(template="applied") == 1
    command = visitor.recovery.command
    assert command is not None
    assert not endings.close(command, "400")
    assert texts_to(template="applied") == 1


def test_a_lost_signal_is_made_good_by_the_sweep(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    Command.objects.update(state=Command.State.APPLIED, applied_at=timezone.now())
    assert [command.pk for command in endings.unnoticed_endings()] == [recovery.command_id]
    endings.close(endings.unnoticed_endings()[0], "400")
    assert visitor.recovery.state == State.DONE
    assert not endings.unnoticed_endings()


def test_a_refused_password_can_be_followed_by_another(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    finish(recovery, Command.State.REJECTED, reason="policy_rejected")
    assert (visitor.recovery.state, visitor.recovery.reason) == (State.FAILED, "policy_rejected")
    assert "/status/again" in visitor.get("status").content.decode()
    assert visitor.post("again").url == "/password"
    visitor.set_password("730582")
    assert visitor.recovery.state == State.DISPATCHED
    assert visitor.recovery.command_id != recovery.command_id


def test_a_new_key_asks_for_the_password_again(visitor: Visitor, till: PairedTill) -> None:
    visitor.dispatch()
    commands.key_changed(pair_on_paper(till.terminal).terminal)
    assert visitor.recovery.reason == "key_changed"
    assert visitor.post("again").url == "/password"


def test_after_a_quarter_of_an_hour_the_proof_is_too_old(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    finish(recovery, Command.State.REJECTED, reason="policy_rejected")
    Recovery.objects.update(proved_at=timezone.now() - timedelta(minutes=16))
    assert visitor.post("again").url == "/status"
    assert visitor.recovery.state == State.FAILED


def test_a_reset_can_be_withdrawn_until_the_terminal_has_it(visitor: Visitor) -> None:
    visitor.dispatch()
    assert visitor.get("withdraw").status_code == 200
    visitor.post("withdraw")
    assert (visitor.recovery.state, visitor.recovery.reason) == (State.FAILED, "cancelled")
    assert visitor.get("status").status_code == 200


def test_a_reset_the_terminal_has_is_asked_back_and_the_page_waits_for_its_word(
    visitor: Visitor, till: PairedTill
) -> None:
    recovery = visitor.dispatch()
    command = Command.objects.get(pk=recovery.command_id)
    commands.move(command, Command.State.FETCHED, fetched_at=timezone.now())
    assert visitor.get("withdraw").status_code == 200
    visitor.post("withdraw")
    assert 'data-phase="cancelling"' in visitor.get("status").content.decode()
    assert visitor.recovery.state == State.DISPATCHED and visitor.get("withdraw").status_code == 302
    commands.applied(Command.objects.get(kind="void"), timezone.now())
    assert (visitor.recovery.state, visitor.recovery.reason) == (State.FAILED, "cancelled")
    assert 'data-phase="cancelled"' in visitor.get("status").content.decode()


def test_a_terminal_that_was_faster_than_the_withdrawal_finishes_the_recovery(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    command = Command.objects.get(pk=recovery.command_id)
    commands.move(command, Command.State.FETCHED, fetched_at=timezone.now())
    visitor.post("withdraw")
    command.refresh_from_db()
    commands.applied(command, timezone.now())
    commands.applied(Command.objects.get(kind="void"), timezone.now())
    assert visitor.recovery.state == State.DONE and texts_to(template="applied") == 1


def test_a_late_receipt_turns_failed_into_done(visitor: Visitor) -> None:
    recovery = visitor.dispatch()
    visitor.post("withdraw")
    command = Command.objects.get(pk=recovery.command_id)
    commands.applied(command, timezone.now())
    assert visitor.recovery.state == State.DONE
    assert texts_to(template="applied") == 1


def test_a_newer_reset_replaces_the_older(visitor: Visitor) -> None:
    first = visitor.dispatch()
    other = Visitor()
    other.dispatch()
    first.refresh_from_db()
    assert (first.state, first.reason) == (State.FAILED, "superseded")
    assert other.recovery.state == State.DISPATCHED


@pytest.mark.parametrize("change", ["suspended", "closed"])
def test_a_shop_closed_meanwhile_gets_no_command(visitor: Visitor, change: str, till: PairedTill) -> None:
    visitor.prove()
    visitor.choose()
    merchant = till.terminal.store.merchant
    merchant.status = change
    merchant.save()
    assert visitor.set_password().status_code == 200
    assert not Command.objects.exists()


def test_an_operator_removed_meanwhile_gets_no_command(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose()
    Operator.objects.filter(number="03").delete()
    assert visitor.set_password().status_code == 302
    assert not Command.objects.exists()


def test_every_state_leads_to_a_page(visitor: Visitor) -> None:
    visitor.prove()
    for state in State:
        recovery = Recovery(state=state)
        assert reverse(access.page_of(recovery)).startswith("/")


def test_a_choice_at_the_terminal_is_in_force_only_when_it_was_used(visitor: Visitor) -> None:
    visitor.prove()
    visitor.choose()
    visitor.post("let_them_choose", subject=steps.subject_mark(visitor.recovery))
    now = timezone.now()
    finish(visitor.recovery, Command.State.APPLIED, applied_at=now)
    assert texts_to(template="choosing") == 1
    assert not texts_to(template="applied")

    asking, asked = (status_of(visitor.recovery, now + after) for after in (ZERO, steps.CHOICE_LIFE))
    assert (asking.phase, asking.torn, asking.total) == ("choosing", False, "")
    assert (asked.phase, asked.torn, asked.total) == ("unanswered", False, "")

    commands.signed_on(Command.objects.get(), now)
    used = status_of(visitor.recovery, now)
    assert (used.phase, used.torn, used.total != "") == ("signed_on", True, True)


def test_after_a_swap_the_password_is_set_again_for_the_unit_that_stands_there_now(visitor: Visitor) -> None:
    old = visitor.dispatch().terminal
    assert old is not None
    new = pair_on_paper(make_terminal(store=old.store, name=old.name)).terminal
    Terminal.objects.filter(pk=old.pk).update(replaced_by=new)
    Recovery.objects.update(state=Recovery.State.FAILED, reason="swapped")
    visitor.post("again")
    recovery = visitor.recovery
    assert (recovery.state, recovery.terminal, recovery.command) == (Recovery.State.SETTING, new, None)
    visitor.set_password()
    command = visitor.recovery.command
    assert command is not None and command.terminal == new
