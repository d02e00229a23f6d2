"""Receipts: only a terminal's signed word about a token of ours moves a command."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, inbox, jose, receipts
from terminals.models import Command, Operator, Receipt, Terminal
from terminals.protocol import new_id
from tests.cast import PairedTill, pair_on_paper, payload
from tests.portal.parallel import in_parallel
from tests.terminals.work import delivered, fresh, tokens_in_inbox
from tests.vectors.forgeries import forgeries
from tests.vectors.world import RECEIPT, TERMINAL

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


def say(till: PairedTill, *items: str) -> list[str]:
    """Post receipts; what was made of each."""
    return [result.r for result in receipts.accept(till.terminal, items)]


class TestOutcomes:
    def test_applied(self, till: PairedTill) -> None:
        command = delivered(till)
        assert say(till, till.receipt(command.token)) == ["ok"]
        done = fresh(command)
        assert done.state == State.APPLIED and done.applied_at and done.fetched_at and not done.late
        assert not tokens_in_inbox(till.terminal)

    def test_rejected_with_its_reason(self, till: PairedTill) -> None:
        command = delivered(till)
        assert say(till, till.receipt(command.token, "rejected", rc="policy_rejected")) == ["ok"]
        assert (fresh(command).state, fresh(command).reason) == (State.REJECTED, "policy_rejected")

    def test_deferred_stays_in_the_inbox_with_the_time_of_the_next_try(self, till: PairedTill) -> None:
        command = delivered(till)
        assert say(till, till.receipt(command.token, "deferred", rc="busy", retry=30)) == ["ok"]
        waits = fresh(command)
        assert waits.state == State.FETCHED and waits.retry_at is not None
        assert timedelta(seconds=25) < waits.retry_at - timezone.now() <= timedelta(seconds=30)
        assert tokens_in_inbox(till.terminal) == [command.token]

    def test_signed_on_is_noted_with_the_operator(self, till: PairedTill) -> None:
        command = delivered(till)
        say(till, till.receipt(command.token), till.receipt(command.token, "signed_on"))
        operator = Operator.objects.get(terminal=till.terminal, number="03")
        assert fresh(command).signed_on_at == operator.last_signed_on_at is not None

    def test_a_receipt_that_overtakes_the_note_that_it_was_fetched_counts(self, till: PairedTill) -> None:
        command = delivered(till)
        assert command.state == State.QUEUED
        assert say(till, till.receipt(command.token)) == ["ok"]
        assert commands.mark_fetched([command.jti or ""], timezone.now()) == 0
        assert fresh(command).state == State.APPLIED

    def test_a_terminal_that_could_not_read_the_token_names_it_by_its_hash(self, till: PairedTill) -> None:
        command = delivered(till)
        unread = till.receipt(command.token, "rejected", rc="unknown_key", sub=None, cid=None, seq=None)
        assert say(till, unread) == ["ok"]
        assert fresh(command).reason == "unknown_key"


class TestRepetition:
    def test_the_same_bytes_again_are_a_duplicate(self, till: PairedTill) -> None:
        receipt = till.receipt(delivered(till).token)
        assert say(till, receipt, receipt, receipt) == ["ok", "duplicate", "duplicate"]
        assert Receipt.objects.count() == 1

    def test_other_bytes_under_the_same_id_contradict_and_are_told_to_auditors(
        self, till: PairedTill
    ) -> None:
        token, jti = delivered(till).token, new_id("rcp")
        first = till.receipt(token, jti=jti)
        second = till.receipt(token, "rejected", rc="storage_failed", jti=jti)
        assert say(till, first, second) == ["ok", "conflict"]
        assert AuditEvent.objects.filter(tag=Tag.RECEIPT_CONFLICT).count() == 1

    def test_twenty_copies_at_once_are_taken_once(self, till: PairedTill) -> None:
        command = delivered(till)
        receipt = till.receipt(command.token)
        results = in_parallel(20, lambda: say(till, receipt)[0], width=10)
        assert sorted(results) == ["duplicate"] * 19 + ["ok"]
        assert command.events.filter(to_state=State.APPLIED).count() == 1

    def test_a_duplicate_takes_a_token_out_that_is_still_offered(self, till: PairedTill) -> None:
        command = delivered(till)
        receipt = till.receipt(command.token)
        say(till, receipt)
        inbox.push(till.terminal.pk, [inbox.Item(command.jti or "", 1, command.pk, command.token)])
        assert say(till, receipt) == ["duplicate"] and not tokens_in_inbox(till.terminal)


class TestLateness:
    @pytest.mark.parametrize("end", [State.CANCELLED, State.EXPIRED, State.SUPERSEDED])
    def test_applied_after_a_soft_end_is_late_and_true(self, till: PairedTill, end: str) -> None:
        command = delivered(till)
        token = command.token
        assert commands.move(command, end)
        assert say(till, till.receipt(token)) == ["late"]
        assert fresh(command).state == State.APPLIED and fresh(command).late

    def test_a_refusal_after_the_end_changes_nothing(self, till: PairedTill) -> None:
        command = delivered(till)
        token = command.token
        commands.move(command, State.CANCELLED)
        assert say(till, till.receipt(token, "rejected", rc="expired")) == ["late"]
        assert fresh(command).state == State.CANCELLED

    def test_a_refusal_of_a_token_that_was_replaced_does_not_end_the_command(self, till: PairedTill) -> None:
        command = delivered(till)
        old = command.token
        commands.reissue(command)
        assert delivery.deliver(command.pk)
        assert say(till, till.receipt(old, "rejected", rc="wrong_key")) == ["late"]
        assert fresh(command).state == State.QUEUED

    def test_the_same_command_applied_by_its_old_token_is_applied(self, till: PairedTill) -> None:
        command = delivered(till)
        old = command.token
        commands.reissue(command)
        assert delivery.deliver(command.pk)
        assert say(till, till.receipt(old)) == ["ok"]
        assert fresh(command).state == State.APPLIED and not tokens_in_inbox(till.terminal)


class TestStrangers:
    def test_a_token_we_never_issued_is_unknown(self, till: PairedTill) -> None:
        token = delivered(till).token
        claims = {"sub": new_id("tok")}
        assert say(till, till.receipt(token, **claims), till.receipt(token, tok=jose.digest("x"))) == [
            "unknown",
            "unknown",
        ]

    def test_a_terminal_cannot_speak_about_anothers_token(self, till: PairedTill) -> None:
        command, other = delivered(till), pair_on_paper()
        assert say(other, other.receipt(command.token)) == ["unknown"]
        assert fresh(command).state == State.QUEUED

    def test_a_terminal_cannot_use_anothers_receipt_or_key(self, till: PairedTill) -> None:
        command, other = delivered(till), pair_on_paper()
        named = other.receipt(command.token, iss=till.terminal.pk)
        assert say(till, named, other.receipt(command.token)) == ["invalid", "invalid"]

    def test_a_receipt_for_another_server_is_invalid(self, till: PairedTill) -> None:
        token = delivered(till).token
        assert say(till, till.receipt(token, aud="https://elsewhere.example/terminal/v1")) == ["invalid"]

    def test_no_forgery_is_accepted_and_none_breaks_anything(self) -> None:
        public = jose.public_jwk(TERMINAL)
        paired = pair_on_paper()
        Terminal.objects.update(sign_key=public, sign_kid=jose.kid16(public))
        paired.terminal.refresh_from_db()
        tried = list(forgeries(RECEIPT))
        assert len(tried) > 100
        assert {result for forgery in tried for result in say(paired, forgery.token)} == {"invalid"}

    def test_a_bad_one_does_not_hold_up_the_others(self, till: PairedTill) -> None:
        first, second = delivered(till, "01"), delivered(till, "03")
        mixed = ("", till.receipt(first.token), "a.b.c", till.receipt(second.token))
        assert say(till, *mixed) == ["invalid", "ok", "invalid", "ok"]


class TestClocks:
    @pytest.mark.parametrize("offset", [-1_000_000_000, -86_400, 86_400, 2**52])
    def test_whatever_its_clock_says_it_happened_between_issue_and_now(
        self, till: PairedTill, offset: int
    ) -> None:
        command = delivered(till)
        assert say(till, till.receipt(command.token, at=int(time.time()) + offset)) == ["ok"]
        applied = fresh(command).applied_at
        assert applied is not None and command.created_at <= applied <= timezone.now()

    def test_a_time_in_between_is_believed(self, till: PairedTill) -> None:
        command = delivered(till)
        Command.objects.update(created_at=timezone.now() - timedelta(hours=2))
        at = int(time.time()) - 3600
        say(till, till.receipt(command.token, at=at))
        assert fresh(command).applied_at == datetime.fromtimestamp(at, UTC)


class TestRestoredServer:
    def test_we_go_on_above_what_the_terminal_has_seen_under_the_same_command(self, till: PairedTill) -> None:
        command = delivered(till)
        behind = till.receipt(command.token, "rejected", rc="seq_replayed", hwm=41)
        assert say(till, behind) == ["ok"]
        assert delivery.deliver(command.pk)
        again = payload(fresh(command).token)
        assert (again["seq"], again["cid"]) == (42, command.pk) and again["jti"] != command.jti
        assert tokens_in_inbox(till.terminal) == [fresh(command).token]
        alert = AuditEvent.objects.get(tag=Tag.SEQ_REPLAYED)
        assert alert.facts["hwm"] == 41 and alert.merchant == till.terminal.store.merchant

    def test_a_fetch_noted_afterwards_does_not_stop_the_new_token(self, till: PairedTill) -> None:
        command = delivered(till)
        say(till, till.receipt(command.token, "rejected", rc="seq_replayed", hwm=41))
        commands.mark_fetched([command.jti or ""], timezone.now())
        assert delivery.deliver(command.pk)

    def test_a_lower_mark_is_an_ordinary_refusal(self, till: PairedTill) -> None:
        command = delivered(till)
        say(till, till.receipt(command.token, "rejected", rc="seq_replayed", hwm=0))
        assert fresh(command).state == State.REJECTED


def test_every_receipt_is_kept_with_what_was_made_of_it(till: PairedTill) -> None:
    command = delivered(till)
    say(till, till.receipt(command.token, "deferred", rc="busy", retry=5), till.receipt(command.token))
    kept: list[tuple[Any, ...]] = list(Receipt.objects.values_list("status", "reason", "result"))
    assert kept == [("deferred", "busy", "ok"), ("applied", "", "ok")]
