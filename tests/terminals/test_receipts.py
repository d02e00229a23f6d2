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
from terminals.models import Command, Operator, Receipt, Terminal, TerminalAlert
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

    def test_signed_on_alone_says_that_the_password_is_in_force(self, till: PairedTill) -> None:
        command = delivered(till)
        assert say(till, till.receipt(command.token, "signed_on")) == ["ok"]
        assert fresh(command).state == State.APPLIED and fresh(command).signed_on_at

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


class TestContradictions:
    def test_a_refusal_after_applied_is_a_contradiction_and_raises_an_alert(self, till: PairedTill) -> None:
        command = delivered(till)
        token = command.token
        said = say(till, till.receipt(token), till.receipt(token, "rejected", rc="policy_rejected"))
        assert said == ["ok", "conflict"] and fresh(command).state == State.APPLIED
        alert = TerminalAlert.objects.get(kind="receipt_conflict")
        assert alert.command == command and alert.facts["says"] == "rejected"

    def test_applied_after_a_refusal_is_a_contradiction_too(self, till: PairedTill) -> None:
        command = delivered(till)
        token = command.token
        said = say(till, till.receipt(token, "rejected", rc="storage_failed"), till.receipt(token))
        assert said == ["ok", "conflict"] and fresh(command).state == State.REJECTED
        assert TerminalAlert.objects.get().kind == "receipt_conflict"

    @pytest.mark.parametrize("rc", ["seq_replayed", "expired", "wrong_key"])
    def test_a_copy_that_came_again_and_was_turned_away_contradicts_nothing(
        self, till: PairedTill, rc: str
    ) -> None:
        command = delivered(till)
        token = command.token
        assert say(till, till.receipt(token), till.receipt(token, "rejected", rc=rc)) == ["ok", "late"]
        assert fresh(command).state == State.APPLIED and not TerminalAlert.objects.exists()

    def test_ten_contradictions_about_one_command_are_one_alert(self, till: PairedTill) -> None:
        token = delivered(till).token
        say(till, till.receipt(token))
        for _ in range(10):
            say(till, till.receipt(token, "rejected", rc="policy_rejected"))
        assert TerminalAlert.objects.get().count == 10


class TestNeverIssued:
    @pytest.mark.parametrize("st", ["applied", "signed_on"])
    def test_what_was_done_for_a_token_never_issued_is_shown_to_people(
        self, till: PairedTill, st: str
    ) -> None:
        stranger = till.receipt(delivered(till).token, st, tok=jose.digest("somebody else's"))
        assert say(till, stranger) == ["unknown"]
        assert TerminalAlert.objects.get().kind == "unknown_receipt"

    def test_a_genuine_looking_token_that_was_refused_is_shown_as_well(self, till: PairedTill) -> None:
        token = delivered(till).token
        say(till, till.receipt(token, "rejected", rc="expired", tok=jose.digest("x")))
        assert TerminalAlert.objects.get().kind == "unknown_receipt"

    def test_rubbish_that_no_key_of_ours_signed_is_not(self, till: PairedTill) -> None:
        token = delivered(till).token
        unread = {"sub": None, "cid": None, "seq": None, "tok": jose.digest("x")}
        assert say(till, till.receipt(token, "rejected", rc="bad_signature", **unread)) == ["unknown"]
        assert not TerminalAlert.objects.exists()


class TestKeyRoll:
    def test_receipts_under_the_key_before_a_roll_are_still_taken(self, till: PairedTill) -> None:
        command = delivered(till)
        old = till.receipt(command.token)
        _roll(till)
        assert say(till, old) == ["ok"] and fresh(command).state == State.APPLIED

    def test_the_new_key_may_speak_about_a_token_of_the_old_one(self, till: PairedTill) -> None:
        token = delivered(till).token
        again = _roll(till)
        assert say(again, again.receipt(token)) == ["ok"]

    def test_the_old_keys_numbers_say_nothing_about_the_new_ones(self, till: PairedTill) -> None:
        token = delivered(till).token
        again = _roll(till)
        say(again, again.receipt(token, hwm=41))
        assert Terminal.objects.get().last_seq == 0 and not TerminalAlert.objects.exists()

    def test_a_key_that_is_no_longer_known_says_nothing(self, till: PairedTill) -> None:
        old = till.receipt(delivered(till).token)
        pair_on_paper(till.terminal)
        assert say(till, old) == ["invalid"]


def _roll(till: PairedTill) -> PairedTill:
    """The terminal with its next key in force."""
    was = {"previous_sign_key": till.terminal.sign_key, "previous_sign_kid": till.terminal.sign_kid}
    again = pair_on_paper(till.terminal)
    Terminal.objects.update(last_seq=0, **was)
    again.terminal.refresh_from_db()
    return again


class TestRestoredServer:
    def test_we_go_on_above_what_the_terminal_has_seen_under_the_same_command(self, till: PairedTill) -> None:
        command = delivered(till)
        behind = till.receipt(command.token, "rejected", rc="seq_replayed", hwm=41)
        assert say(till, behind) == ["ok"]
        assert delivery.deliver(command.pk)
        again = payload(fresh(command).token)
        assert (again["seq"], again["cid"]) == (42, command.pk) and again["jti"] != command.jti
        assert tokens_in_inbox(till.terminal) == [fresh(command).token]
        told = AuditEvent.objects.get(tag=Tag.SEQ_REPLAYED)
        assert told.facts["hwm"] == 41 and told.merchant == till.terminal.store.merchant
        assert TerminalAlert.objects.get().kind == "seq_replayed"

    def test_any_signed_mark_above_ours_is_gone_above_before_the_next_number(self, till: PairedTill) -> None:
        first = delivered(till)
        assert say(till, till.receipt(first.token, hwm=41)) == ["ok"]
        assert delivered(till).seq == 42
        assert TerminalAlert.objects.get().kind == "hwm_ahead"

    def test_numbers_given_out_twice_before_we_heard_anything_are_told_of(self, till: PairedTill) -> None:
        commands_sent = [delivered(till, operator) for operator in ("01", "03", "05")]
        behind = till.receipt(commands_sent[0].token, "rejected", rc="seq_replayed", hwm=3)
        assert say(till, behind) == ["ok"]
        assert TerminalAlert.objects.get().kind == "seq_replayed"
        assert delivery.deliver(commands_sent[0].pk) and fresh(commands_sent[0]).seq == 4

    def test_a_token_overtaken_by_another_of_ours_is_signed_again_without_an_alarm(
        self, till: PairedTill
    ) -> None:
        first, second = delivered(till, "01"), delivered(till, "03")
        said = say(
            till,
            till.receipt(second.token, hwm=2),
            till.receipt(first.token, "rejected", rc="seq_replayed", hwm=2),
        )
        assert said == ["ok", "ok"] and not TerminalAlert.objects.exists()
        assert delivery.deliver(first.pk) and fresh(first).seq == 3

    def test_a_command_refused_again_and_again_ends_for_a_person_to_look_at(self, till: PairedTill) -> None:
        command, hwm = delivered(till), 10
        while fresh(command).state == State.QUEUED:
            hwm += 10
            say(till, till.receipt(fresh(command).token, "rejected", rc="seq_replayed", hwm=hwm))
            delivery.deliver(command.pk)
        ended = fresh(command)
        assert (ended.state, ended.attempt) == (State.REJECTED, commands.ATTEMPTS_MAX)

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
