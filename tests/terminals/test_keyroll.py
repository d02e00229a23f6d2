"""Key roll: the old key vouches for the new one, a lost answer harms nobody, one of them is in force."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import authentication, commands, delivery, jose
from terminals.keys import issuer
from terminals.life import keyroll, lives, pairing_codes, stopping
from terminals.models import Command, Terminal, TerminalStatus
from terminals.protocol import MESSAGE, TYP_KEYROLL, TYP_POSSESSION
from tests.cast import PairedTill, audience, make_terminal, pair_on_paper, payload
from tests.portal.parallel import in_parallel
from tests.terminals.asgi import ask, run
from tests.terminals.units import Unit
from tests.terminals.work import delivered, fresh, reset, tokens_in_inbox

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Roll:
    """A till that changes its keys; it keeps its X25519 key unless it is given another."""

    old: PairedTill
    sign_key: dict[str, str] = field(default_factory=lambda: jose.generate_key(jose.SIGN))
    open_key: dict[str, str] | None = None
    client: Client = field(default_factory=Client)

    @property
    def new(self) -> PairedTill:
        """The till under its new keys."""
        terminal = Terminal.objects.get(pk=self.old.terminal.pk)
        return PairedTill(terminal, self.sign_key, self.open_key or self.old.open_key)

    def proof(self, **changes: Any) -> str:
        """What the new key says of itself; a change to None removes the claim."""
        enc = jose.public_jwk(self.open_key or self.old.open_key)
        claims: dict[str, Any] = {"old": jose.kid16(self.old.sign_key), "enc": enc, "aud": audience()}
        claims |= {"iat": int(time.time()), "jti": "p" * 16, **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jose.sign(kept, TYP_POSSESSION, self.sign_key, embed_jwk=True)

    def request(self, **changes: Any) -> str:
        """The whole request, signed by the old key."""
        now = int(time.time())
        claims = {"iss": self.old.terminal.pk, "aud": audience(), "iat": now, "exp": now + 300}
        claims |= {"jti": "r" * 16, "proof": self.proof()}
        return self.old.sign(claims, TYP_KEYROLL, changes)

    def post(self, body: str = "", by: PairedTill | None = None) -> Any:
        """Ask for the roll."""
        headers = (by or self.old).authorization()
        path, kind = "/terminal/v1/keys/roll", "application/jose"
        return self.client.post(path, body or self.request(), content_type=kind, headers=headers)

    def ask(self, till: PairedTill) -> int:
        """Some request under one of the keys; the status."""
        answer = self.client.post(
            "/terminal/v1/receipts", {"receipts": ["x"]}, content_type="application/json",
            headers=till.authorization(),
        )  # fmt: skip
        return int(answer.status_code)


@pytest.fixture
def roll(till: PairedTill) -> Roll:
    """The front desk's till, about to change its signing key."""
    return Roll(till)


class TestRolling:
    def test_the_new_key_is_in_force_with_its_first_request_and_the_old_one_is_over(self, roll: Roll) -> None:
        answer = roll.post()
        assert answer.status_code == 200 and answer.json()["state"] == "rolling"
        assert answer.json()["until"] == pytest.approx(time.time() + 86_400, abs=5)
        assert roll.ask(roll.old) == 200
        assert roll.ask(roll.new) == 200
        assert roll.ask(roll.old) == 401
        assert Terminal.objects.get().sign_kid == jose.kid16(roll.sign_key)
        assert AuditEvent.objects.filter(tag=Tag.KEY_IN_FORCE).count() == 1

    def test_a_lost_answer_costs_nothing(self, roll: Roll) -> None:
        first, again = roll.post(), roll.post()
        assert first.json() == again.json()
        assert AuditEvent.objects.filter(tag=Tag.KEY_ROLLED).count() == 1
        assert roll.ask(roll.new) == 200

    def test_the_same_request_after_the_new_key_is_in_force_is_told_so(self, roll: Roll) -> None:
        body = roll.request()
        roll.post(body)
        roll.ask(roll.new)
        assert roll.post(body, by=roll.new).json()["state"] == "active"

    def test_who_lost_the_new_key_may_roll_to_another_while_the_old_one_holds(self, roll: Roll) -> None:
        roll.post()
        other = Roll(roll.old)
        assert other.post().status_code == 200
        assert roll.ask(roll.new) == 401 and other.ask(other.new) == 200

    @pytest.mark.parametrize("swept", [True, False])
    def test_a_new_key_that_nobody_used_for_a_day_lapses_and_the_old_one_stays(
        self, roll: Roll, swept: bool
    ) -> None:
        roll.post()
        run_out_of_time()
        for _ in range(swept):
            lives.sweep()
        assert roll.ask(roll.new) == 401 and roll.ask(roll.old) == 200
        assert not keyroll.take_over(roll.old.terminal.pk, jose.kid16(roll.sign_key))
        assert swept == (Terminal.objects.get().pending_sign_kid is None)

    @pytest.mark.parametrize("swept", [True, False])
    def test_after_that_the_same_keys_may_be_offered_again(self, roll: Roll, swept: bool) -> None:
        roll.post()
        run_out_of_time()
        for _ in range(swept):
            lives.sweep()
        assert roll.post().json()["until"] == pytest.approx(time.time() + 86_400, abs=5)
        assert roll.ask(roll.new) == 200 and roll.ask(roll.old) == 401

    def test_a_sweep_that_comes_late_takes_no_key_that_was_used_or_offered_meanwhile(
        self, roll: Roll
    ) -> None:
        roll.post()
        assert not keyroll.lapse_due(timezone.now())
        assert roll.ask(roll.new) == 200
        assert not keyroll.lapse_due(timezone.now() + timedelta(days=2))
        assert roll.ask(roll.new) == 200

    def test_a_key_that_was_replaced_while_it_called_is_not_let_in(
        self, roll: Roll, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        roll.post()
        known = authentication.owners_of([jose.kid16(roll.sign_key)])
        Roll(roll.old).post()
        monkeypatch.setattr(authentication, "owners_of", lambda kids: known)
        assert roll.ask(roll.new) == 401
        assert Terminal.objects.get().sign_kid == jose.kid16(roll.old.sign_key)

    def test_within_the_day_the_sweep_leaves_both_alone(self, roll: Roll) -> None:
        roll.post()
        lives.sweep()
        assert roll.ask(roll.old) == 200 and Terminal.objects.get().pending_until is not None

    def test_of_many_first_requests_at_once_one_takes_over(self, roll: Roll) -> None:
        roll.post()
        new = roll.new
        answers = in_parallel(6, lambda: Roll(roll.old, roll.sign_key, client=Client()).ask(new), width=6)
        assert answers == [200] * 6
        assert AuditEvent.objects.filter(tag=Tag.KEY_IN_FORCE).count() == 1

    def test_old_and_new_at_once_leave_one_key_in_force(self, roll: Roll) -> None:
        roll.post()
        tills = [roll.old, roll.new] * 4
        in_parallel(8, lambda: roll_client(roll).ask(tills.pop()), width=8)
        assert roll.ask(roll.new) == 200 and roll.ask(roll.old) == 401


def run_out_of_time() -> None:
    """The day of grace is over."""
    Terminal.objects.update(pending_until=timezone.now() - timedelta(seconds=1))


def roll_client(roll: Roll) -> Roll:
    """The same till with a connection of its own."""
    return Roll(roll.old, roll.sign_key, roll.open_key)


class TestWhatWaits:
    def test_what_is_sealed_for_a_kept_key_is_signed_anew_and_can_be_opened(self, roll: Roll) -> None:
        command = delivered(roll.old)
        roll.post()
        roll.ask(roll.new)
        assert tokens_in_inbox(roll.new.terminal) == []
        delivery.sweep()
        token = tokens_in_inbox(roll.new.terminal)[0]
        claims = payload(token)
        assert (claims["cid"], claims["seq"]) == (command.pk, 1)
        assert claims["jkt"] == jose.kid16(roll.sign_key)
        assert roll.new.open(token)["password"]

    def test_what_only_the_old_key_opens_is_asked_for_again(self, till: PairedTill) -> None:
        roll = Roll(till, open_key=jose.generate_key(jose.SEAL))
        sealed, text = (
            delivered(till),
            commands.issue(till.terminal, MESSAGE, args={"text": "你好"}, requested_by="user:1"),
        )
        roll.post()
        roll.ask(roll.new)
        assert (fresh(sealed).state, fresh(sealed).reason) == (Command.State.EXPIRED, "key_changed")
        assert fresh(text).state == Command.State.QUEUED

    def test_until_then_the_old_key_is_served_as_before(self, roll: Roll) -> None:
        roll.post()
        command = delivered(roll.old)
        assert command.jkt == roll.old.terminal.sign_kid

    def test_receipts_under_the_key_before_are_still_taken(self, roll: Roll) -> None:
        command = delivered(roll.old)
        receipt = roll.old.receipt(command.token)
        roll.post()
        answer = roll.client.post(
            "/terminal/v1/receipts", {"receipts": [receipt]}, content_type="application/json",
            headers=roll.new.authorization(),
        )  # fmt: skip
        assert answer.json()["results"][0]["r"] == "ok"
        assert fresh(command).state == Command.State.APPLIED

    def test_numbers_start_again_and_facts_stay(self, roll: Roll) -> None:
        delivered(roll.old)
        TerminalStatus.objects.update_or_create(
            terminal=roll.old.terminal, defaults={"reported_hwm": 9, "battery": 50}
        )
        Terminal.objects.update(firmware="4.2.1", offline_key="k", offline_counter=5)
        roll.post()
        roll.ask(roll.new)
        now = Terminal.objects.select_related("status").get()
        assert (now.last_seq, now.status.reported_hwm, now.status.battery) == (0, None, 50)
        assert (now.firmware, now.offline_key, now.offline_counter) == ("4.2.1", "k", 5)


class TestRefusals:
    def test_a_proof_for_another_key_or_server_is_malformed(self, roll: Roll) -> None:
        wrongs: list[dict[str, Any]] = [
            {"old": "A" * 16},
            {"aud": "https://elsewhere.example/terminal/v1"},
            {"enc": None},
        ]
        for wrong in wrongs:
            answer = roll.post(roll.request(proof=roll.proof(**wrong)))
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), wrong
        assert Terminal.objects.get().pending_sign_kid is None

    @pytest.mark.parametrize(
        "change", [{"iss": "trm_0123456789abcdef"}, {"aud": "x"}, {"proof": "x.y.z"}, {"jti": None}]
    )
    def test_a_request_that_does_not_hang_together_is_malformed(
        self, roll: Roll, change: dict[str, Any]
    ) -> None:
        assert roll.post(roll.request(**change)).status_code == 400

    def test_only_the_old_key_vouches(self, roll: Roll) -> None:
        stranger = Roll(roll.old, roll.sign_key)
        forged = PairedTill(roll.old.terminal, jose.generate_key(jose.SIGN), roll.old.open_key)
        body = Roll(forged, roll.sign_key).request(proof=stranger.proof())
        assert roll.post(body).status_code == 400 and roll.post("nonsense").status_code == 400

    def test_a_request_from_another_time_is_told_the_time(self, roll: Roll) -> None:
        answer = roll.post(roll.request(iat=1_700_000_000, exp=1_700_000_300))
        assert answer.json()["code"] == "clock_skew" and answer.json()["server_time"]
        old_proof = roll.request(proof=roll.proof(iat=1_700_000_000))
        assert roll.post(old_proof).json()["code"] == "clock_skew"

    def test_a_key_that_is_somebodys_already_is_refused(self, roll: Roll, issuer_keys: Any) -> None:
        other = pair_on_paper()
        taken = [other.sign_key, roll.old.sign_key, issuer.load_or_make(issuer_keys / "signing.jwk")]
        for key in taken:
            assert Roll(roll.old, key).post().json()["code"] == "key_in_use"
        assert Roll(roll.old, open_key=other.open_key).post().json()["code"] == "key_in_use"

    @pytest.mark.parametrize("change", [{"state": "quarantined"}, {"tampered_at": timezone.now()}])
    def test_a_terminal_that_is_not_trusted_changes_no_keys(self, roll: Roll, change: dict[str, Any]) -> None:
        Terminal.objects.update(**change)
        answer = roll.post()
        assert (answer.status_code, answer.json()["code"]) == (403, "quarantined")

    def test_a_terminal_that_asks_on_while_it_is_stopped_uses_nothing_up(
        self, roll: Roll, settings: Settings
    ) -> None:
        settings.REKEY_LIMITS = {"key-rolls-per-terminal": "1/day"}
        Terminal.objects.update(state="quarantined")
        assert [roll.post().status_code for _ in range(3)] == [403] * 3
        Terminal.objects.update(state="active")
        assert roll.post().status_code == 200

    def test_firmware_that_rolls_in_a_loop_is_slowed_down(self, roll: Roll, settings: Settings) -> None:
        settings.REKEY_LIMITS = {"key-rolls-per-terminal": "2/day"}
        other = Roll(roll.old)
        assert [each.post().status_code for each in (roll, roll, other, other)] == [200] * 4
        refused = Roll(roll.old).post()
        assert refused.status_code == 429 and int(refused["Retry-After"]) > 0

    def test_while_it_is_being_paired_anew_the_pairing_comes_first(self, roll: Roll) -> None:
        code = pairing_codes.create_pairing_code(roll.old.terminal, "user:1").code
        answer = Unit().enroll(code)
        assert answer.status_code == 201 and roll.post().json()["code"] == "conflict"

    def test_a_pairing_puts_an_end_to_a_roll_that_is_under_way(self, roll: Roll) -> None:
        roll.post()
        paired = Unit().pair(pairing_codes.create_pairing_code(roll.old.terminal, "user:1").code)
        assert [roll.ask(till) for till in (roll.old, roll.new, paired)] == [401, 401, 200]
        assert not keyroll.take_over(roll.old.terminal.pk, jose.kid16(roll.sign_key))


def test_a_repeated_confirmation_does_not_put_a_rolling_key_in_force(issuer_keys: object) -> None:
    unit = Unit()
    answer = unit.enroll(pairing_codes.create_pairing_code(make_terminal(), "user:1").code)
    unit.confirm(answer)
    roll = Roll(unit.as_till(answer.json()["tid"]))
    roll.post()
    assert unit.confirm(answer).status_code in (200, 409)
    assert Terminal.objects.get().sign_kid == jose.kid16(unit.sign_key)
    assert reset(roll.old).pk


class TestPolling:
    def test_the_first_poll_under_the_new_key_ends_the_old_one_whatever_was_remembered(
        self, roll: Roll
    ) -> None:
        roll.post()
        new = roll.new
        old_bearer, new_bearer = roll.old.bearer(), new.bearer()

        async def scene() -> list[int]:
            statuses = [(await ask(roll.old, bearer=old_bearer)).status]
            statuses.append((await ask(new, bearer=new_bearer)).status)
            await asyncio.sleep(0.3)
            statuses.append((await ask(roll.old, bearer=old_bearer)).status)
            statuses.append((await ask(new, bearer=new_bearer)).status)
            return statuses

        assert run(scene) == [204, 204, 401, 204]
        assert Terminal.objects.get().sign_kid == jose.kid16(roll.sign_key)

    def test_a_terminal_that_was_stopped_is_served_its_lock_and_nothing_else_at_the_next_poll(
        self, roll: Roll
    ) -> None:
        delivered(roll.old)
        bearer = roll.old.bearer()

        async def scene() -> list[Any]:
            before = await ask(roll.old, bearer=bearer)
            await sync_to_async(stopping.quarantine)(roll.old.terminal, "user:1", "stolen")
            await sync_to_async(delivery.sweep)()
            after = await ask(roll.old, bearer=bearer)
            await sync_to_async(stopping.revoke)(roll.old.terminal, "user:1", "x")
            await asyncio.sleep(0.3)
            return [before, after, await ask(roll.old, bearer=bearer)]

        before, after, last = run(scene)
        assert [payload(token)["cmd"] for token in before.tokens] == ["set_credential"]
        assert [payload(token)["cmd"] for token in after.tokens] == ["lock"]
        assert (last.status, last.json()["code"]) == (403, "revoked")
