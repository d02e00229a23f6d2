"""Bearers: a stranger learns nothing, a known terminal with a wrong clock learns the time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from terminals import jose
from terminals.authentication import Bearer, admit, verify
from terminals.models import Terminal
from terminals.protocol import TYP_AUTH, ProtocolError
from tests.cast import PairedTill, pair_on_paper
from tests.vectors.forgeries import forgeries
from tests.vectors.world import BEARER, TERMINAL, TID

pytestmark = pytest.mark.django_db


@pytest.fixture
def till() -> PairedTill:
    """A paired till; nothing is signed for it here."""
    return pair_on_paper()


def refusal(authorization: str, now: float | None = None) -> ProtocolError:
    """The error that this header gets."""
    with pytest.raises(ProtocolError) as refused:
        verify(authorization, now)
    return refused.value


class TestWho:
    def test_a_bearer_names_its_terminal(self, till: PairedTill) -> None:
        bearer = verify(f"Bearer {till.bearer()}")
        assert bearer.terminal_id == till.terminal.pk and bearer.confirmed
        assert bearer.expires == pytest.approx(time.time() + 480, abs=2)

    def test_eddsa_is_accepted_as_the_older_name_of_the_algorithm(self, till: PairedTill) -> None:
        header, payload, _ = till.bearer().split(".")
        old = jose.b64u(jose.unb64u(header).replace(b'"Ed25519"', b'"EdDSA"'))
        key = jose.Ed25519PrivateKey.from_private_bytes(jose.unb64u(till.sign_key["d"]))
        signature = jose.b64u(key.sign(f"{old}.{payload}".encode()))
        assert verify(f"Bearer {old}.{payload}.{signature}").terminal_id == till.terminal.pk

    def test_every_other_caller_gets_one_identical_answer(self, till: PairedTill) -> None:
        stranger, other = pair_on_paper(), pair_on_paper()
        Terminal.objects.filter(pk=stranger.terminal.pk).update(sign_kid=None)
        claims: dict[str, Any] = {"iss": till.terminal.pk}
        wrong = {
            "none": "", "another scheme": f"Basic {till.bearer()}", "no token": "Bearer ",
            "unknown key": f"Bearer {stranger.bearer()}",
            "another's name": f"Bearer {other.bearer(**claims)}",
            "another server": f"Bearer {till.bearer(aud='https://elsewhere.example/terminal/v1')}",
            "another path": f"Bearer {till.bearer(aud='http://testserver')}",
            "cut short": f"Bearer {till.bearer()[:-2]}", "no expiry": f"Bearer {till.bearer(exp=None)}",
            "another type": f"Bearer {till.sign({'iss': till.terminal.pk}, 'JWT', {})}",
        }  # fmt: skip
        problems = [refusal(header).problem("t") for header in wrong.values()]
        assert all(problem == problems[0] for problem in problems)
        assert problems[0]["code"] == "invalid_auth" and problems[0]["status"] == 401

    def test_no_forgery_is_accepted_and_none_breaks_anything(self) -> None:
        terminal = pair_on_paper().terminal
        public = jose.public_jwk(TERMINAL)
        Terminal.objects.filter(pk=terminal.pk).update(sign_key=public, sign_kid=jose.kid16(public))
        tried = list(forgeries(BEARER))
        assert len(tried) > 100 and BEARER.claims["iss"] == TID
        for forgery in tried:
            assert refusal(f"Bearer {forgery.token}").code == "invalid_auth", forgery.name


class TestWhen:
    @pytest.mark.parametrize("offset", [-509, -300, 0, 120, 179])
    def test_a_clock_somewhat_off_is_fine(self, till: PairedTill, offset: int) -> None:
        now = time.time()
        bearer = till.bearer(iat=int(now) + offset - 60, exp=int(now) + offset + 480)
        assert verify(f"Bearer {bearer}", now)

    @pytest.mark.parametrize("offset", [-511, 181, 86_400, -86_400])
    def test_a_clock_far_off_is_told_the_time(self, till: PairedTill, offset: int) -> None:
        now = int(time.time())
        error = refusal(f"Bearer {till.bearer(iat=now + offset - 60, exp=now + offset + 480)}", now)
        assert (error.code, error.server_time, error.status) == ("clock_skew", now, 401)

    @pytest.mark.parametrize("life", [601, 0, -5])
    def test_a_bearer_lives_ten_minutes_at_most_and_forwards(self, till: PairedTill, life: int) -> None:
        now = int(time.time())
        assert refusal(f"Bearer {till.bearer(iat=now, exp=now + life)}", now).code == "clock_skew"

    def test_only_who_is_genuine_is_told_the_time(self, till: PairedTill) -> None:
        now = int(time.time())
        stranger = pair_on_paper()
        Terminal.objects.filter(pk=stranger.terminal.pk).update(sign_kid=None)
        assert refusal(f"Bearer {stranger.bearer(iat=1, exp=500)}", now).server_time is None


class TestAdmission:
    def bearer(self, state: str, *, confirmed: bool = True) -> Bearer:
        """A verified bearer of a terminal in this state."""
        return Bearer("trm_0123456789abcdef", state, "mains", confirmed, 0)

    @pytest.mark.parametrize("state", ["active", "quarantined"])
    def test_working_and_quarantined_terminals_may_ask(self, state: str) -> None:
        admit(self.bearer(state))

    def test_a_revoked_terminal_is_told_so(self) -> None:
        with pytest.raises(ProtocolError, match="revoked"):
            admit(self.bearer("revoked"))

    def test_an_unconfirmed_key_is_told_so(self) -> None:
        with pytest.raises(ProtocolError, match="unconfirmed"):
            admit(self.bearer("active", confirmed=False))


def test_a_bearer_is_signed_as_what_it_is(till: PairedTill) -> None:
    assert jose.read(till.bearer(), TYP_AUTH, algs=jose.TERMINAL_ALGS).kid == till.terminal.sign_kid
