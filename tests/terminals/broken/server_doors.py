"""Servers that pair or admit whom they should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terminals import jose
from terminals.claims import AuthClaims, parse_auth, parse_confirm
from terminals.conformance.memory import Reply, Request
from terminals.conformance.server_rules.pairing import SMALL, ZERO
from terminals.protocol import BODY_MAX, ENROLL_MAX, ProtocolError, strict_json
from tests.terminals.broken.server import BROKEN, Whole, breaks, genuine, ours, peek, plain

# --- pairing ----------------------------------------------------------------------------------------------


def lenient_enrollment(rule: str, forgives: Callable[[dict[str, Any], dict[str, Any], str], bool]) -> None:
    """A server that says 201 to what it should refuse."""

    class Lenient(Whole):
        def enroll(self, request: Request) -> Reply:
            try:
                return super().enroll(request)
            except (jose.JoseError, ProtocolError) as error:
                header, claims = peek(request.body)
                if error.code != "pairing_failed" and forgives(header, claims, error.code):
                    return Reply(201, {"tid": self.tid})
                raise

    BROKEN[rule] = Lenient


def exact(header: dict[str, Any]) -> bool:
    return set(header) == {"alg", "typ", "jwk"} and "d" not in header["jwk"]


lenient_enrollment("enroll-header", lambda header, claims, code: not exact(header))
lenient_enrollment("enroll-sound-keys", lambda h, c, code: h["jwk"] == SMALL or c.get("enc") == ZERO)
lenient_enrollment("enroll-signature", lambda h, c, code: code == "bad_signature")
lenient_enrollment(
    "enroll-claims",
    lambda h, c, code: (
        exact(h)
        and (c["exp"] - c["iat"] > 300 or "elsewhere" in c["aud"] or not c.get("code") or not c.get("enc"))
    ),
)


@breaks("enroll-size")
class ReadsLargeEnrollments(Whole):
    def body(self, request: Request, most: int = BODY_MAX) -> bytes:
        return request.body if most == ENROLL_MAX else super().body(request, most)


@breaks("enroll-clock")
class KeepsTheTime(Whole):
    def enroll(self, request: Request) -> Reply:
        try:
            return super().enroll(request)
        except ProtocolError as error:
            raise ProtocolError(error.code) from None


@breaks("enroll-identical")
class TellsWhatWasWrong(Whole):
    def match(self, typed: str) -> None:
        if typed == "ZZZ-ZZZ-ZZZ":
            raise ProtocolError("gone")
        super().match(typed)


@breaks("enroll-accepts")
class ForgetsTheChallenge(Whole):
    def enroll(self, request: Request) -> Reply:
        reply = super().enroll(request)
        assert isinstance(reply.body, dict)
        return Reply(201, {name: value for name, value in reply.body.items() if name != "challenge"})


@breaks("enroll-keyset")
class SpeaksForAnother(Whole):
    def publish(self, ver: int, *, root: dict[str, str] | None = None, **changes: Any) -> str:
        return super().publish(ver, root=root, iss="https://elsewhere.example", **changes)


@breaks("unconfirmed")
class ServesTheUnconfirmed(Whole):
    def authenticate(self, request: Request) -> bool:
        super().authenticate(request)
        return True


@breaks("confirm-nonce")
class TakesAnyNonce(Whole):
    def confirm(self, request: Request) -> Reply:
        given = parse_confirm(strict_json(request.body))
        right, self.nonce = self.nonce, given
        try:
            return super().confirm(request)
        finally:
            self.nonce = right


@breaks("confirm-repeatable")
class ConfirmsOnce(Whole):
    def confirm(self, request: Request) -> Reply:
        if self.active:
            raise ProtocolError("conflict")
        return super().confirm(request)


@breaks("code-once")
class CodesForEver(Whole):
    def match(self, typed: str) -> None:
        used, self.code_used = self.code_used, False
        try:
            super().match(typed)
        finally:
            self.code_used = used


@breaks("code-burns")
class GuessAsYouLike(Whole):
    def match(self, typed: str) -> None:
        self.failures = 0
        super().match(typed)


class ForgetsKeys(Whole):
    blind = False

    def known_kids(self) -> set[str]:
        return set() if self.blind else super().known_kids()


@breaks("key-in-use")
class RegistersTwice(ForgetsKeys):
    def enroll(self, request: Request) -> Reply:
        self.blind = self.active
        reply = super().enroll(request)
        self.blind = False
        if self.pending and self.pending[0] == self.sign_key:
            self.pending = None
        return reply


@breaks("roll-in-use")
class RollsToItself(ForgetsKeys):
    def roll(self, request: Request) -> Reply:
        self.blind = True
        return super().roll(request)


@breaks("roll-proof")
class FollowsAnyKey(Whole):
    def follows(self, old: str) -> None:
        """Whatever it names."""


@breaks("roll")
class KeepsOldKeys(Whole):
    def callers(self) -> dict[str, dict[str, str]]:
        self.past = getattr(self, "past", {}) | super().callers()
        return self.past


# --- bearers ----------------------------------------------------------------------------------------------


def lenient_bearer(rule: str, forgives: Callable[[Whole, dict[str, Any], dict[str, Any], str], bool]) -> None:
    """A server that takes a bearer which it should refuse."""

    class Lenient(Whole):
        def read_bearer(self, token: str) -> tuple[AuthClaims, str]:
            try:
                return super().read_bearer(token)
            except (jose.JoseError, ProtocolError):
                header, claims = peek(token) if token.count(".") == 2 else ({}, {})
                if self.active and header and forgives(self, header, claims, token):
                    return parse_auth(claims), jose.kid16(self.sign_key)
                raise

    BROKEN[rule] = Lenient


lenient_bearer(
    "bearer-unknown-key", lambda s, h, c, t: not ours(s, h) and c["iss"] == s.tid and not s.asked("keys/roll")
)
lenient_bearer(
    "bearer-signature",
    lambda s, h, c, t: ours(s, h) and plain(h) and "=" not in t and not genuine(s, t) and c["exp"] > s.now(),
)
lenient_bearer("bearer-audience", lambda s, h, c, t: plain(h) and genuine(s, t) and c["aud"] != s.audience)
lenient_bearer("bearer-header", lambda s, h, c, t: not plain(h) and genuine(s, t))
lenient_bearer("bearer-strict", lambda s, h, c, t: t.endswith("=") and genuine(s, t[:-1]))
lenient_bearer("bearer-size", lambda s, h, c, t: len(t) > 1024 and genuine(s, t))


@breaks("bearer-accepted")
class OneTimeBearers(Whole):
    def read_bearer(self, token: str) -> tuple[AuthClaims, str]:
        self.seen: set[str] = getattr(self, "seen", set())
        if token in self.seen:
            raise ProtocolError("invalid_auth")
        self.seen.add(token)
        return super().read_bearer(token)


@breaks("bearer-eddsa")
class OnlyTheNewName(Whole):
    def read_bearer(self, token: str) -> tuple[AuthClaims, str]:
        if token and peek(token)[0].get("alg") == "EdDSA":
            raise ProtocolError("invalid_auth")
        return super().read_bearer(token)


@breaks("bearer-none")
class ServesAnybody(Whole):
    def authenticate(self, request: Request) -> bool:
        return not request.bearer or super().authenticate(request)


@breaks("bearer-identical")
class TellsAStranger(Whole):
    def admitted(self, token: str) -> str:
        try:
            return super().admitted(token)
        except ProtocolError as error:
            if token and error.code == "invalid_auth" and not ours(self, peek(token)[0]):
                raise ProtocolError("invalid_auth", retry_after=1) from None
            raise


class Timely(Whole):
    """Which of the three times are looked at."""

    looks_early = looks_late = looks_long = True

    def in_time(self, claims: AuthClaims) -> None:
        skew = ProtocolError("clock_skew", server_time=self.now())
        if self.looks_early and claims.iat > self.now() + 120:
            raise skew
        if self.looks_late and claims.exp <= self.now() - 30:
            raise skew
        if self.looks_long and not 0 < claims.exp - claims.iat <= 600:
            raise skew


BROKEN["bearer-lifetime"] = type("LongLives", (Timely,), {"looks_long": False})
BROKEN["bearer-ended"] = type("NeverEnds", (Timely,), {"looks_late": False})
BROKEN["bearer-early"] = type("NeverEarly", (Timely,), {"looks_early": False})


@breaks("bearer-skew-verified")
class TellsStrangersTheTime(Whole):
    def admitted(self, token: str) -> str:
        if token.count(".") == 2 and peek(token)[1].get("exp", 2**40) < self.now() - 1000:
            raise ProtocolError("clock_skew", server_time=self.now())
        return super().admitted(token)
