"""Pairing: one code, one unit, two proved keys; and every wrong reason looks the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.audit import Tag
from portal.models import AuditEvent
from terminals import jose, pairing
from terminals.headers import parse_telemetry
from terminals.keys import issuer
from terminals.life import enrollment, pairing_codes
from terminals.models import Command, PairingCode, Terminal, TerminalAlert, TerminalStatus
from terminals.polling import seen
from terminals.protocol import TYP_KEYSET, ProtocolError
from tests.cast import make_terminal
from tests.portal.parallel import in_parallel
from tests.terminals.units import Unit
from tests.terminals.work import delivered, fresh, reset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def terminal(issuer_keys: object, settings: Settings) -> Terminal:
    """A terminal that waits to be paired."""
    settings.REKEY_LIMITS = {"pairing": "1000/hour"}
    return make_terminal()


def new_code(terminal: Terminal) -> pairing_codes.IssuedCode:
    """A fresh code for the terminal."""
    return pairing_codes.create_pairing_code(terminal, "user:1")


def wrong_secret(code: str) -> str:
    """The same selector with another secret."""
    return code[:-1] + ("B" if code[-1] != "B" else "C")


def problem(answer: Any) -> dict[str, Any]:
    """The body of a refusal, without what differs from request to request."""
    assert answer["Content-Type"] == "application/problem+json"
    return {name: value for name, value in answer.json().items() if name != "trace"}


class TestPairing:
    @pytest.mark.parametrize("form", ["code", "digits"])
    def test_a_unit_with_the_code_becomes_the_terminal(self, terminal: Terminal, form: str) -> None:
        till = Unit().pair(getattr(new_code(terminal), form))
        now = till.terminal
        assert now.pk == terminal.pk and now.state == Terminal.State.ACTIVE
        assert now.sign_key == jose.public_jwk(till.sign_key) and now.enc_key == jose.public_jwk(
            till.open_key
        )
        assert now.firmware == "4.2.1" and now.activated_at is not None and now.offline_key
        assert AuditEvent.objects.filter(tag=Tag.PAIRED, subject=terminal.pk).exists()

    def test_case_and_separators_are_forgiven(self, terminal: Terminal) -> None:
        code = new_code(terminal).code
        assert Unit().enroll(code.lower().replace("-", " ")).status_code == 201

    def test_the_answer_holds_the_keyset_whose_root_the_qr_pins(self, terminal: Terminal) -> None:
        code = new_code(terminal)
        pinned = pairing.parse_qr(code.qr_text)
        claims, root = jose.verify_self_vouched(
            Unit().enroll(code.code).json()["keyset"], TYP_KEYSET, "roots"
        )
        assert pinned is not None and pinned.root == jose.thumbprint(root) and claims["ver"] == 1

    def test_until_the_second_key_is_proved_the_terminal_does_nothing(self, terminal: Terminal) -> None:
        unit = Unit()
        tid = unit.enroll(new_code(terminal).code).json()["tid"]
        assert Terminal.objects.get().state == Terminal.State.UNCONFIRMED
        answer = unit.post("receipts", {"receipts": ["x"]}, till=unit.as_till(tid))
        assert answer.status_code == 403 and answer.json()["code"] == "unconfirmed"

    def test_a_confirmation_whose_answer_got_lost_can_be_repeated(self, terminal: Terminal) -> None:
        unit = Unit()
        answer = unit.enroll(new_code(terminal).code)
        assert [unit.confirm(answer).status_code for _ in range(2)] == [200, 200]
        assert AuditEvent.objects.filter(tag=Tag.PAIRED).count() == 1

    def test_another_nonce_proves_nothing(self, terminal: Terminal) -> None:
        unit = Unit()
        tid = unit.enroll(new_code(terminal).code).json()["tid"]
        answer = unit.post("enroll/confirm", {"nonce": jose.b64u(bytes(16))}, till=unit.as_till(tid))
        assert answer.status_code == 409 and Terminal.objects.get().state == Terminal.State.UNCONFIRMED

    def test_what_the_database_keeps_of_a_code_does_not_tell_it(self, terminal: Terminal) -> None:
        code, row = new_code(terminal), str(PairingCode.objects.values().get())
        secret = code.code.replace("-", "")[3:]
        assert secret not in row and code.digits.replace("-", "")[3:11] not in row


class TestWrongCodes:
    def wrongs(self, terminal: Terminal) -> dict[str, str]:
        """Every way in which a code can be wrong."""
        revoked, expired = new_code(terminal), new_code(make_terminal())
        used = new_code(make_terminal())
        Unit().pair(used.code)
        PairingCode.objects.filter(pk=expired.id).update(expires_at=timezone.now())
        pairing_codes.revoke_pairing_codes(terminal)
        alive = new_code(terminal)
        return {
            "used": used.code, "expired": expired.code, "revoked": revoked.code, "no code at all": "hello",
            "wrong secret": wrong_secret(alive.code), "no such code": "BBB-BBB-BBB",
            "wrong check digit": alive.digits[:-1] + str((int(alive.digits[-1]) + 1) % 10),
        }  # fmt: skip

    def test_every_wrong_reason_gets_one_identical_answer(self, terminal: Terminal) -> None:
        answers = {name: Unit().enroll(code) for name, code in self.wrongs(terminal).items()}
        assert {answer.status_code for answer in answers.values()} == {401}
        bodies = [problem(answer) for answer in answers.values()]
        assert all(body == bodies[0] for body in bodies) and bodies[0]["code"] == "pairing_failed"

    def test_five_wrong_secrets_burn_the_code(self, terminal: Terminal) -> None:
        code = new_code(terminal).code
        for _ in range(5):
            assert Unit().enroll(wrong_secret(code)).status_code == 401
        assert Unit().enroll(code).status_code == 401
        assert AuditEvent.objects.filter(tag=Tag.PAIRING_BURNED).count() == 1

    def test_of_many_wrong_secrets_at_once_five_are_looked_at(self, terminal: Terminal) -> None:
        code = new_code(terminal).code
        in_parallel(20, lambda: Unit().enroll(wrong_secret(code)).status_code, width=10)
        assert PairingCode.objects.get().failures == 5

    def test_of_many_units_with_one_code_one_is_paired(self, terminal: Terminal) -> None:
        code = new_code(terminal).code
        answers = in_parallel(5, lambda: Unit().enroll(code).status_code)
        assert sorted(answers) == [201, 401, 401, 401, 401]

    def test_a_new_code_stops_the_one_before(self, terminal: Terminal) -> None:
        older = new_code(terminal).code
        newer = new_code(terminal).code
        assert Unit().enroll(older).status_code == 401 and Unit().enroll(newer).status_code == 201

    def test_an_address_has_twenty_tries_an_hour(self, terminal: Terminal, settings: Settings) -> None:
        settings.REKEY_LIMITS = {}
        tries = [Unit().enroll("BBB-BBB-BBB") for _ in range(21)]
        assert [answer.status_code for answer in tries[:20]] == [401] * 20
        assert tries[20].status_code == 429 and int(tries[20]["Retry-After"]) > 0


class TestKeys:
    def test_a_key_is_registered_once(self, terminal: Terminal) -> None:
        unit = Unit()
        unit.pair(new_code(terminal).code)
        for again in (unit, Unit(sign_key=unit.sign_key), Unit(open_key=unit.open_key)):
            answer = again.enroll(new_code(make_terminal()).code)
            assert answer.status_code == 409 and answer.json()["code"] == "key_in_use"

    def test_an_issuer_key_is_nobodys_terminal_key(self, terminal: Terminal, issuer_keys: Any) -> None:
        key = issuer.load_or_make(issuer_keys / "signing.jwk")
        assert Unit(sign_key=key).enroll(new_code(terminal).code).json()["code"] == "key_in_use"

    @pytest.mark.parametrize("x", [bytes(32), bytes([1]) + bytes(31), bytes([255]) * 32])
    def test_a_point_that_everybody_can_compute_with_is_refused(self, terminal: Terminal, x: bytes) -> None:
        unsound = {"kty": "OKP", "crv": "X25519", "x": jose.b64u(x)}
        answer = Unit().enroll(new_code(terminal).code, enc=unsound)
        assert answer.status_code == 400 and answer.json()["code"] == "malformed"

    def test_a_request_for_another_server_or_from_another_time_is_refused(self, terminal: Terminal) -> None:
        code = new_code(terminal).code
        assert Unit().enroll(code, aud="https://elsewhere.example/terminal/v1").status_code == 400
        late = Unit().enroll(code, iat=1_700_000_000, exp=1_700_000_300)
        assert late.status_code == 401 and late.json()["code"] == "clock_skew" and late.json()["server_time"]


class TestAgain:
    def test_the_old_key_works_until_the_new_one_is_proved(self, terminal: Terminal) -> None:
        old = Unit().pair(new_code(terminal).code)
        unit = Unit()
        answer = unit.enroll(new_code(terminal).code)
        asked = {"receipts": ["x"]}
        assert unit.post("receipts", asked, till=old).status_code == 200
        unit.confirm(answer)
        assert unit.post("receipts", asked, till=old).status_code == 401

    def test_numbers_start_again_and_an_unreadable_password_is_asked_for_again(
        self, terminal: Terminal
    ) -> None:
        command = delivered(Unit().pair(new_code(terminal).code))
        till = Unit().pair(new_code(terminal).code)
        assert (fresh(command).state, fresh(command).reason) == (Command.State.EXPIRED, "key_changed")
        assert delivered(till).seq == 1

    def test_a_password_that_was_never_signed_is_asked_for_again_too(self, terminal: Terminal) -> None:
        command = reset(Unit().pair(new_code(terminal).code))
        Unit().pair(new_code(terminal).code)
        assert fresh(command).reason == "key_changed"


class TestStartingOver:
    def paired(self, terminal: Terminal, **changes: Any) -> Terminal:
        """Pair a unit that says this of itself."""
        unit = Unit()
        assert unit.confirm(unit.enroll(new_code(terminal).code, **changes)).status_code == 200
        return Terminal.objects.get(pk=terminal.pk)

    def test_facts_go_and_history_stays(self, terminal: Terminal) -> None:
        command = delivered(Unit().pair(new_code(terminal).code))
        told = {"battery": 3, "reported_hwm": 41, "inventory": {"operators": []}}
        TerminalStatus.objects.update_or_create(terminal=terminal, defaults=told)
        Terminal.objects.update(tampered_at=timezone.now(), offline_counter=41, previous_sign_kid="x" * 16)
        now = self.paired(terminal, fw="5.0.0")
        status = TerminalStatus.objects.get()
        assert (status.battery, status.reported_hwm, status.inventory) == (None, None, {})
        assert now.tampered_at is not None, "only a person who has looked at the machine clears that"
        assert (now.firmware, now.offline_counter, now.previous_sign_kid) == ("5.0.0", 0, None)
        assert Command.objects.filter(pk=command.pk).exists() and now.operators.count() == 5

    def test_what_the_old_unit_said_and_nobody_had_copied_yet_does_not_come_back(
        self, terminal: Terminal
    ) -> None:
        self.paired(terminal)
        before = seen.Seen(timezone.now() - timedelta(seconds=5), 204, parse_telemetry("hwm=41, bat=3"))
        self.paired(terminal)
        seen.store({terminal.pk: before})
        status = TerminalStatus.objects.get()
        assert (status.battery, status.reported_hwm) == (None, None)

    def test_what_an_unproved_unit_says_is_not_believed_yet(self, terminal: Terminal) -> None:
        before = self.paired(terminal)
        Unit().enroll(new_code(terminal).code, fw="6.6.6", cap={"keypad": "full", "cmds": []})
        now = Terminal.objects.get()
        assert (now.firmware, now.capabilities) == (before.firmware, before.capabilities)

    def test_a_unit_that_never_came_back_is_forgotten_after_a_day(self, terminal: Terminal) -> None:
        unit = Unit()
        answer = unit.enroll(new_code(terminal).code)
        assert enrollment.expire_due(timezone.now()) == 0
        PairingCode.objects.update(used_at=timezone.now() - timedelta(hours=25))
        assert enrollment.expire_due(timezone.now()) == 1
        assert Terminal.objects.get().state == Terminal.State.NEW
        assert unit.confirm(answer).status_code == 401
        assert Unit().pair(new_code(terminal).code).terminal.pk == terminal.pk

    def test_a_paired_one_stays_paired_when_another_unit_never_came_back(self, terminal: Terminal) -> None:
        old = Unit().pair(new_code(terminal).code)
        Unit().enroll(new_code(terminal).code)
        enrollment.expire_due(timezone.now() + timedelta(hours=25))
        now = Terminal.objects.get()
        assert (now.state, now.sign_kid, now.pending_sign_kid) == ("active", jose.kid16(old.sign_key), None)


class TestSerial:
    def test_another_serial_than_on_record_is_an_alert_until_the_right_one_comes(
        self, terminal: Terminal
    ) -> None:
        start = TestStartingOver().paired
        hw = {"vendor": "Rekey", "model": "RK-100", "serial": "RK-OTHER"}
        start(terminal, hw=hw)
        start(terminal, hw=hw)
        alert = TerminalAlert.objects.get()
        assert (alert.kind, alert.count, alert.cleared_at) == ("serial_differs", 2, None)
        assert alert.facts == {"reported": "RK-OTHER", "on_record": terminal.serial}
        start(terminal, hw=hw | {"serial": f" {terminal.serial.lower()}"})
        assert TerminalAlert.objects.get().cleared_by == "server"


class TestManyAtOnce:
    def test_a_hundred_tills_of_one_shop_are_paired_within_the_limits(
        self, terminal: Terminal, settings: Settings
    ) -> None:
        settings.REKEY_LIMITS = {"pairing": "5/hour", "pairing-overall": "5/hour"}
        for _ in range(12):
            assert Unit().enroll(new_code(terminal).code).status_code == 201
        wrong = [Unit().enroll("BBB-BBB-BBB").status_code for _ in range(6)]
        assert wrong == [401] * 5 + [429]

    def test_codes_that_share_a_selector_pair_each_its_own_terminal(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        draw = pairing._draw
        monkeypatch.setattr(
            pairing, "_draw", lambda alphabet, length: alphabet[:3] if length == 3 else draw(alphabet, length)
        )
        others = [make_terminal() for _ in range(3)]
        codes = {each.pk: new_code(each) for each in (terminal, *others)}
        assert Unit().enroll(wrong_secret(codes[terminal.pk].code)).status_code == 401
        assert set(PairingCode.objects.values_list("failures", flat=True)) == {1}
        for pk, code in codes.items():
            assert Unit().pair(code.digits).terminal.pk == pk
        assert set(PairingCode.objects.values_list("failures", flat=True)) == {2}


def test_no_code_without_issuer_keys(db: None) -> None:
    with pytest.raises(issuer.NoKeyset):
        new_code(make_terminal())


def test_a_code_lives_for_fifteen_minutes(terminal: Terminal) -> None:
    left = new_code(terminal).expires_at - timezone.now()
    assert timedelta(minutes=14, seconds=50) < left <= timedelta(minutes=15)


def test_a_stranger_in_the_protocol_gets_a_protocol_error(issuer_keys: object) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        enrollment.enroll(b"not a token", "192.0.2.0/24")
