"""Withdrawing, deferring and clearing: what ends at once, what only the terminal or the clock may end."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, receipts
from terminals.models import Command, Terminal
from terminals.protocol import OPEN, VOID
from tests.cast import PairedTill, pair_on_paper, payload
from tests.portal.parallel import in_parallel
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


def fetched(till: PairedTill, operator: str = "03") -> Command:
    """A reset whose token the terminal holds."""
    command = delivered(till, operator)
    assert commands.mark_fetched([command.jti or ""], timezone.now()) == 1
    return fresh(command)


def withdrawn(till: PairedTill) -> tuple[Command, Command, str]:
    """A fetched reset that is being withdrawn, its void as delivered, and the reset's token."""
    command = fetched(till)
    token = command.token
    assert commands.cancel(command.pk, "user:1")
    void = Command.objects.get(kind=VOID)
    assert delivery.deliver(void.pk)
    return fresh(command), fresh(void), token


def say(till: PairedTill, *items: str) -> list[str]:
    """Post receipts; what was made of each."""
    return [result.r for result in receipts.accept(till.terminal, items)]


def pass_time(**more: Any) -> None:
    """As if every command's time were over, and the clocks' difference too."""
    Command.objects.filter(state__in=OPEN).update(expires_at=timezone.now() - timedelta(seconds=121))
    commands.expire_due(timezone.now())


class TestWithdrawing:
    def test_what_was_not_fetched_is_withdrawn_at_once(self, till: PairedTill) -> None:
        command = delivered(till)
        assert commands.cancel(command.pk, "user:1") and not commands.cancel(command.pk, "user:1")
        assert fresh(command).state == State.CANCELLED and not tokens_in_inbox(till.terminal)
        assert not Command.objects.filter(kind=VOID).exists()

    def test_what_was_fetched_is_offered_no_more_and_asked_back(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        assert (command.state, command.token, command.sealed) == (State.CANCELLING, "", "")
        assert tokens_in_inbox(till.terminal) == [void.token]
        claims = payload(void.token)
        assert (claims["cmd"], claims["args"]) == (VOID, {"ref": command.pk})
        assert claims["seq"] > (command.seq or 0) and void.expires_at == command.expires_at

    def test_asking_twice_sends_one_void_and_a_void_is_not_withdrawn(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        assert not commands.cancel(command.pk, "user:1") and not commands.cancel(void.pk, "user:1")
        assert Command.objects.filter(kind=VOID).count() == 1

    def test_the_terminals_word_ends_it(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        assert say(till, till.receipt(void.token)) == ["ok"]
        assert fresh(command).state == State.CANCELLED and fresh(void).state == State.APPLIED

    def test_a_terminal_that_was_faster_says_so_first(self, till: PairedTill) -> None:
        command, void, token = withdrawn(till)
        assert say(till, till.receipt(token), till.receipt(void.token)) == ["ok", "ok"]
        done = fresh(command)
        assert (done.state, done.late) == (State.APPLIED, False)

    def test_a_refusal_of_what_is_being_withdrawn_ends_it_as_refused(self, till: PairedTill) -> None:
        command, void, token = withdrawn(till)
        said = say(till, till.receipt(token, "rejected", rc="policy_rejected"), till.receipt(void.token))
        assert said == ["ok", "ok"] and fresh(command).state == State.REJECTED

    def test_a_token_overtaken_by_its_void_waits_for_the_voids_answer(self, till: PairedTill) -> None:
        command, void, token = withdrawn(till)
        overtaken = till.receipt(token, "rejected", rc="seq_replayed", hwm=void.seq)
        assert say(till, overtaken) == ["ok"] and fresh(command).state == State.CANCELLING
        say(till, till.receipt(void.token))
        assert fresh(command).state == State.CANCELLED

    def test_a_terminal_that_knows_no_void_has_used_its_number_all_the_same(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        say(till, till.receipt(void.token, "rejected", rc="unsupported_cmd", hwm=void.seq))
        assert fresh(command).state == State.CANCELLED

    def test_a_void_that_could_not_be_read_decides_nothing(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        unread = {"sub": None, "cid": None, "seq": None, "hwm": command.seq}
        say(till, till.receipt(void.token, "rejected", rc="bad_signature", **unread))
        assert fresh(command).state == State.CANCELLING

    def test_without_an_answer_the_clock_ends_both(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        pass_time()
        assert fresh(command).state == fresh(void).state == State.EXPIRED

    def test_applied_after_all_is_late_and_true(self, till: PairedTill) -> None:
        command, void, token = withdrawn(till)
        say(till, till.receipt(void.token))
        assert say(till, till.receipt(token)) == ["late"]
        assert fresh(command).state == State.APPLIED and fresh(command).late

    def test_a_newer_reset_beats_one_that_is_being_withdrawn(self, till: PairedTill) -> None:
        command, void, _ = withdrawn(till)
        newer = delivered(till)
        assert fresh(command).state == State.SUPERSEDED and fresh(command).superseded_by == newer
        assert tokens_in_inbox(till.terminal) == [void.token, newer.token]
        say(till, till.receipt(void.token))
        assert fresh(command).state == State.SUPERSEDED

    def test_of_a_chain_of_resets_only_the_newest_is_offered(self, till: PairedTill) -> None:
        chain = [fetched(till) for _ in range(4)]
        assert [fresh(command).state for command in chain] == [State.SUPERSEDED] * 3 + [State.FETCHED]
        assert tokens_in_inbox(till.terminal) == [chain[-1].token]

    def test_thirty_two_open_commands_do_not_stop_a_withdrawal(self, till: PairedTill) -> None:
        command = fetched(till)
        for _ in range(31):
            commands.issue(till.terminal, "lock", operator_number="03", requested_by="user:1")
        assert commands.cancel(command.pk, "user:1") and Command.objects.filter(kind=VOID).exists()

    def test_a_terminal_with_new_keys_cannot_carry_out_what_is_being_withdrawn(
        self, till: PairedTill
    ) -> None:
        command, void, _ = withdrawn(till)
        again = pair_on_paper(till.terminal)
        Terminal.objects.update(last_seq=0)
        commands.key_changed(again.terminal)
        assert fresh(command).state == State.CANCELLED and fresh(void).state == State.QUEUED


class TestCrossing:
    def crossed(self, till: PairedTill) -> tuple[Command, str]:
        """Withdrawn while the terminal was being handed the token."""
        command = delivered(till)
        assert commands.cancel(command.pk, "user:1")
        commands.mark_fetched([command.jti or ""], timezone.now())
        return fresh(command), command.token

    def test_it_is_asked_back_and_marked_until_the_terminal_tells(self, till: PairedTill) -> None:
        command, _ = self.crossed(till)
        assert (command.state, command.reason) == (State.CANCELLED, commands.HANDED_OVER)
        void = Command.objects.get(kind=VOID)
        assert delivery.deliver(void.pk)
        say(till, till.receipt(fresh(void).token))
        assert (fresh(command).state, fresh(command).reason) == (State.CANCELLED, "")

    def test_it_was_faster(self, till: PairedTill) -> None:
        command, token = self.crossed(till)
        assert say(till, till.receipt(token)) == ["late"] and fresh(command).state == State.APPLIED

    def test_it_never_told(self, till: PairedTill) -> None:
        command, _ = self.crossed(till)
        pass_time()
        assert (fresh(command).state, fresh(command).reason) == (State.CANCELLED, commands.UNHEARD)

    def test_being_told_twice_that_it_was_handed_over_sends_one_void(self, till: PairedTill) -> None:
        command, _ = self.crossed(till)
        commands.mark_fetched([command.jti or ""], timezone.now())
        assert Command.objects.filter(kind=VOID).count() == 1


class TestDeferring:
    def deferred(self, till: PairedTill, retry: int = 30) -> Command:
        """A reset that came in the middle of a sale."""
        command = fetched(till)
        assert say(till, till.receipt(command.token, "deferred", rc="busy", retry=retry)) == ["ok"]
        return fresh(command)

    def test_it_is_not_offered_until_its_time_and_then_it_is(self, till: PairedTill) -> None:
        command = self.deferred(till)
        assert command.retry_at is not None and command.defers == 1
        assert timedelta(seconds=25) < command.retry_at - timezone.now() <= timedelta(seconds=30)
        delivery.sweep()
        assert not tokens_in_inbox(till.terminal) and not delivery.waiting_for(till.terminal.pk)
        Command.objects.update(retry_at=timezone.now())
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [command.token]
        assert fresh(command).retry_at is None and fresh(command).state == State.FETCHED

    def test_every_deferral_is_counted(self, till: PairedTill) -> None:
        command = self.deferred(till)
        say(till, till.receipt(command.token, "deferred", rc="busy", retry=60))
        assert fresh(command).defers == 2

    def test_a_deferral_that_comes_after_the_end_changes_nothing(self, till: PairedTill) -> None:
        command = fetched(till)
        token = command.token
        say(till, till.receipt(token))
        assert say(till, till.receipt(token, "deferred", rc="busy", retry=60)) == ["ok"]
        assert fresh(command).state == State.APPLIED and fresh(command).retry_at is None

    def test_a_deferral_of_a_token_that_was_replaced_does_not_hold_up_the_new_one(
        self, till: PairedTill
    ) -> None:
        command = fetched(till)
        old = command.token
        commands.reissue(command)
        assert delivery.deliver(command.pk)
        say(till, till.receipt(old, "deferred", rc="busy", retry=600))
        assert tokens_in_inbox(till.terminal) == [fresh(command).token]

    def test_it_can_be_withdrawn_meanwhile(self, till: PairedTill) -> None:
        command = self.deferred(till)
        assert commands.cancel(command.pk, "user:1")
        assert fresh(command).state == State.CANCELLING and fresh(command).retry_at is None


class TestClearing:
    def test_a_person_ends_what_is_stuck_and_says_why(self, till: PairedTill) -> None:
        stuck, other = fetched(till, "01"), delivered(till, "03")
        assert commands.clear(till.terminal, [stuck.pk], by="user:7", why="dead SIM") == 1
        ended = fresh(stuck)
        assert (ended.state, ended.reason) == (State.EXPIRED, commands.CLEARED)
        assert fresh(other).state == State.QUEUED and tokens_in_inbox(till.terminal) == [other.token]
        told = AuditEvent.objects.get(tag=Tag.COMMAND_CLEARED)
        assert (told.actor, told.subject, told.facts["why"]) == ("user:7", stuck.pk, "dead SIM")

    def test_what_has_ended_is_not_cleared(self, till: PairedTill) -> None:
        command = delivered(till)
        say(till, till.receipt(command.token))
        assert commands.clear(till.terminal, [command.pk], by="user:7", why="x") == 0

    def test_another_terminals_commands_are_not_reached(self, till: PairedTill) -> None:
        command, other = delivered(till), pair_on_paper()
        assert commands.clear(other.terminal, [command.pk], by="user:7", why="x") == 0

    def test_a_crossed_withdrawal_whose_void_was_cleared_says_that_nobody_told(
        self, till: PairedTill
    ) -> None:
        command, _ = TestCrossing().crossed(till)
        void = Command.objects.get(kind=VOID)
        commands.clear(till.terminal, [void.pk], by="user:7", why="x")
        assert fresh(command).reason == commands.UNHEARD


class TestNotServed:
    def test_a_terminal_opened_by_force_is_offered_nothing_until_a_person_cleared_it(
        self, till: PairedTill
    ) -> None:
        lying, waiting = delivered(till, "01"), reset(till, "03")
        Terminal.objects.update(tampered_at=timezone.now())
        delivery.refresh(till.terminal.pk)
        delivery.sweep()
        assert not tokens_in_inbox(till.terminal) and not delivery.waiting_for(till.terminal.pk)
        assert not delivery.deliver(waiting.pk) and fresh(waiting).claims == 0
        Terminal.objects.update(tampered_at=None)
        delivery.sweep()
        delivery.refresh(till.terminal.pk)
        assert tokens_in_inbox(till.terminal) == [lying.token, fresh(waiting).token]


class TestRaces:
    def test_a_void_and_applied_at_the_same_moment_tell_the_truth(self, till: PairedTill) -> None:
        for _ in range(4):
            command, void, token = withdrawn(till)
            items = (till.receipt(token), till.receipt(void.token))
            turn = count()
            in_parallel(2, lambda items=items, turn=turn: say(till, items[next(turn) % 2]))  # type: ignore[misc]
            assert fresh(command).state == State.APPLIED and fresh(void).state == State.APPLIED
            Command.objects.filter(kind=VOID).delete()

    def test_withdrawing_and_applied_at_the_same_moment(self, till: PairedTill) -> None:
        for _ in range(4):
            command = fetched(till)
            receipt, turn = till.receipt(command.token), count()

            def act(command: Command = command, receipt: str = receipt, turn: count[int] = turn) -> None:
                if next(turn) % 2:
                    commands.cancel(command.pk, "user:1")
                else:
                    say(till, receipt)

            in_parallel(4, act)
            assert fresh(command).state == State.APPLIED
            assert Command.objects.filter(kind=VOID).count() <= 1
            Command.objects.filter(kind=VOID).delete()

    def test_ten_withdrawals_at_once_send_one_void(self, till: PairedTill) -> None:
        command = fetched(till)
        done = in_parallel(10, lambda: commands.cancel(command.pk, "user:1"))
        assert done.count(True) == 1 and Command.objects.filter(kind=VOID).count() == 1

    def test_expiry_and_a_receipt_at_the_same_moment(self, till: PairedTill) -> None:
        for _ in range(4):
            command = fetched(till)
            receipt, turn = till.receipt(command.token), count()
            Command.objects.filter(pk=command.pk).update(expires_at=timezone.now() - timedelta(seconds=121))

            def act(receipt: str = receipt, turn: count[int] = turn) -> None:
                if next(turn) % 2:
                    commands.expire_due(timezone.now())
                else:
                    say(till, receipt)

            in_parallel(2, act)
            assert fresh(command).state == State.APPLIED
