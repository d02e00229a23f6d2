"""From a row to the inbox: signed once, pushed until it lies there, and made good whatever got lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis
import structlog
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import commands, delivery, inbox, jose, signing
from terminals.claims import parse_command
from terminals.keys import issuer, signer
from terminals.models import Command, CommandToken, Terminal
from terminals.protocol import LOCK, SET_CREDENTIAL, TYP_COMMAND
from tests.cast import PairedTill, pair_on_paper, payload
from tests.portal.parallel import in_parallel
from tests.terminals.work import PASSWORD, delivered, fresh, reset, tokens_in_inbox

State = Command.State
pytestmark = pytest.mark.django_db(transaction=True)


def forget_claims() -> None:
    """As if the time of every claim had passed."""
    Command.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))


def age(seconds: int) -> None:
    """As if every push had happened so long ago."""
    Command.objects.filter(pushed_at__isnull=False).update(
        pushed_at=timezone.now() - timedelta(seconds=seconds)
    )


class TestSigning:
    def test_the_terminal_gets_a_token_of_ours_for_itself_alone(self, till: PairedTill) -> None:
        command = delivered(till, recovery_ref="rec_0123456789abcdef")
        (token,) = tokens_in_inbox(till.terminal)
        keys = {key.kid: key.jwk for key in issuer.IssuerKey.objects.all()}
        claims = parse_command(jose.verify(token, TYP_COMMAND, keys))
        assert (claims.cid, claims.aud, claims.jkt) == (command.pk, till.terminal.pk, till.terminal.sign_kid)
        assert (claims.cmd, claims.op, claims.seq, claims.rid) == (
            SET_CREDENTIAL,
            "03",
            1,
            "rec_0123456789abcdef",
        )
        assert claims.exp == int(command.expires_at.timestamp())
        opened = till.open(token)
        assert (opened["password"], opened["op"], opened["aud"]) == (PASSWORD, "03", till.terminal.pk)

    def test_sequence_numbers_rise_by_one(self, till: PairedTill) -> None:
        assert [delivered(till, operator).seq for operator in ("01", "03", "05")] == [1, 2, 3]

    def test_twenty_workers_at_once_sign_one_token(self, till: PairedTill) -> None:
        command = reset(till)
        done = in_parallel(20, lambda: delivery.deliver(command.pk), width=10)
        assert done.count(True) == 1 and CommandToken.objects.count() == 1
        assert Terminal.objects.get().last_seq == 1 and len(tokens_in_inbox(till.terminal)) == 1

    def test_many_commands_of_one_terminal_at_once_get_numbers_of_their_own(self, till: PairedTill) -> None:
        waiting = [
            commands.issue(till.terminal, LOCK, operator_number="03", requested_by="user:1").pk
            for _ in range(8)
        ]
        in_parallel(8, lambda: delivery.deliver(waiting.pop()))
        assert set(Command.objects.values_list("seq", flat=True)) == set(range(1, 9))

    def test_without_the_signing_key_a_command_stays_queued(
        self, till: PairedTill, settings: Settings
    ) -> None:
        command, settings.REKEY_ISSUER_KEY_FILE = reset(till), ""
        assert not delivery.deliver(command.pk)
        assert fresh(command).state == State.QUEUED and fresh(command).token == ""
        with pytest.raises(signer.NoSigningKey):
            signer.sign_command({})

    def test_a_key_file_that_others_can_read_is_not_used(
        self, till: PairedTill, issuer_keys: object, settings: Settings
    ) -> None:
        path = signer.Path(settings.REKEY_ISSUER_KEY_FILE)
        path.chmod(0o640)
        assert not delivery.deliver(reset(till).pk)

    def test_a_password_sealed_for_a_key_that_was_replaced_is_not_sent(self, till: PairedTill) -> None:
        command = reset(till)
        pair_on_paper(till.terminal)
        assert not delivery.deliver(command.pk)
        assert (fresh(command).state, fresh(command).reason) == (State.EXPIRED, "key_changed")
        assert Terminal.objects.get().last_seq == 0

    def test_a_stopped_terminal_is_sent_nothing(self, till: PairedTill) -> None:
        command = reset(till)
        Terminal.objects.update(state=Terminal.State.QUARANTINED)
        assert not delivery.deliver(command.pk) and not tokens_in_inbox(till.terminal)


class TestCost:
    """A reset waits for these statements, and each of them is planned anew on PostgreSQL."""

    def test_a_delivery_takes_two_readings_and_four_writings(self, till: PairedTill) -> None:
        command = reset(till)
        with CaptureQueriesContext(connection) as queries:
            assert delivery.deliver(command.pk)
        # What the issuer keys are is asked once a second, whatever is signed.
        said = [query["sql"] for query in queries if "terminals_issuerkey" not in query["sql"]]
        readings = [sql for sql in said if "SELECT" in sql.split("UPDATE")[0]]
        writings = [sql for sql in said if "UPDATE terminals_" in sql or "INSERT INTO" in sql]
        assert (len(readings), len(writings)) == (2, 4)

    def test_a_command_that_went_to_another_terminal_is_not_signed_for_the_old_one(
        self, till: PairedTill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = reset(till)
        monkeypatch.setattr(signing, "_owners", lambda cursor, ids: {})
        assert not delivery.deliver(command.pk)
        assert fresh(command).state == State.QUEUED and fresh(command).token == ""

    def test_no_index_of_what_is_open_is_a_way_to_anything_by_its_state(self) -> None:
        """A database that last counted when nothing was open would read all that is open for one row."""
        assert not [
            index.name for index in Command._meta.indexes if "state" in f"{index.condition}{index.fields}"
        ]


class TestFailures:
    def test_what_a_killed_worker_signed_is_pushed_by_the_next_unchanged(self, till: PairedTill) -> None:
        command = delivered(till)
        inbox.clear(till.terminal.pk)
        Command.objects.update(pushed_at=None)
        forget_claims()
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [command.token]
        assert CommandToken.objects.count() == 1

    def test_a_claim_that_was_never_released_runs_out(self, till: PairedTill) -> None:
        command = reset(till)
        Command.objects.update(claimed_until=timezone.now() + timedelta(seconds=5), claims=1)
        delivery.sweep()
        assert not tokens_in_inbox(till.terminal)
        forget_claims()
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [fresh(command).token]

    def test_a_row_that_never_gets_through_is_shown_to_staff_and_tried_on(self, till: PairedTill) -> None:
        command = reset(till)
        Command.objects.update(claims=delivery.PARKED_AFTER - 1)
        assert delivery.deliver(command.pk)
        assert AuditEvent.objects.filter(tag=Tag.COMMAND_PARKED, subject=command.pk).count() == 1

    def test_without_redis_a_command_waits_and_nothing_is_counted_against_it(
        self, till: PairedTill, settings: Settings
    ) -> None:
        command, there = reset(till), settings.REDIS_URL
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        assert not delivery.deliver(command.pk)
        delivery.sweep()
        assert fresh(command).state == State.QUEUED and fresh(command).claims == 0
        settings.REDIS_URL = there
        inbox.breaker.reset()
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [fresh(command).token]

    def test_one_broken_row_does_not_hold_up_the_others(self, till: PairedTill) -> None:
        broken, sound = reset(till, "01"), reset(till, "03")
        original = signer.Ring.sign

        def sign(ring: signer.Ring, claims: dict[str, object], version: int | None = None) -> str:
            if claims["cid"] == broken.pk:
                raise RuntimeError("cannot be signed")
            return original(ring, claims, version)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signer.Ring, "sign", sign)
            delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [fresh(sound).token]
        assert fresh(broken).state == State.QUEUED


class TestProjection:
    def test_after_a_flush_the_sweeper_fills_every_inbox_from_the_rows(
        self, till: PairedTill, redis_client: redis.Redis
    ) -> None:
        tokens = [delivered(till, operator).token for operator in ("01", "03")]
        Command.objects.filter(operator_number="01").update(state=State.FETCHED)
        redis_client.flushall()
        assert not inbox.read(till.terminal.pk).trusted
        delivery.sweep()
        assert inbox.read(till.terminal.pk).trusted and tokens_in_inbox(till.terminal) == tokens

    def test_a_single_inbox_that_got_lost_is_filled_again(self, till: PairedTill) -> None:
        command = delivered(till)
        inbox.clear(till.terminal.pk)
        age(10)
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [command.token]

    def test_what_is_withdrawn_while_it_is_being_pushed_leaves_nothing_behind(self, till: PairedTill) -> None:
        command, push = reset(till), inbox.push_many

        def withdraw_first(*args: object, **more: object) -> None:
            commands.cancel(command.pk, "user:1")
            push(*args, **more)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inbox, "push_many", withdraw_first)
            delivery.deliver(command.pk)
        assert fresh(command).state == State.CANCELLED and not tokens_in_inbox(till.terminal)

    def test_what_ended_while_redis_was_away_is_taken_out_later(
        self, till: PairedTill, settings: Settings
    ) -> None:
        command, there = delivered(till), settings.REDIS_URL
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        assert commands.cancel(command.pk, "user:1")
        settings.REDIS_URL = there
        inbox.breaker.reset()
        assert tokens_in_inbox(till.terminal)
        delivery.sweep()
        assert not tokens_in_inbox(till.terminal)

    def test_a_re_paired_terminal_gets_its_first_command_though_the_old_first_has_just_ended(
        self, till: PairedTill
    ) -> None:
        old = delivered(till)
        again = pair_on_paper(till.terminal)
        Terminal.objects.update(last_seq=0)
        commands.key_changed(again.terminal)
        new = delivered(again)
        assert old.seq == new.seq == 1
        age(10)
        delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [new.token]

    def test_sweeping_again_and_again_changes_nothing(self, till: PairedTill) -> None:
        command = delivered(till)
        for _ in range(3):
            age(10)
            delivery.sweep()
        assert tokens_in_inbox(till.terminal) == [command.token]
        assert CommandToken.objects.count() == 1 and payload(command.token)["seq"] == 1


def test_a_sweep_with_nothing_to_do_has_nothing_to_say() -> None:
    delivery.sweep()
    with structlog.testing.capture_logs() as said:
        delivery.sweep()
    assert said == []
