"""The checks a token must pass, in the order of the protocol (§4), each with its reason code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from terminals import jose
from terminals.claims import CommandClaims, KeysetClaims, SealedPlaintext, parse_command, parse_sealed
from terminals.protocol import (
    BACKUP_AGE_MAX,
    FACTORY_RESET,
    HOUR,
    LIFETIME,
    LOCK,
    MESSAGE,
    REBOOT,
    SEQ_STEP_MAX,
    SET_CREDENTIAL,
    SKEW,
    TYP_COMMAND,
    UNLOCK,
    VOID,
    ProtocolError,
    is_id,
)
from terminals.simulator.keysets import Trust
from terminals.simulator.state import Done, State

SUPPORTED: Final = (SET_CREDENTIAL, UNLOCK, LOCK, MESSAGE, VOID, REBOOT, FACTORY_RESET)
STOLEN: Final = {"waive": "stolen"}
_MESSAGE_MAX: Final = 140
_IDLE_MAX: Final = 24 * HOUR


class Refused(Exception):
    """A token this terminal does not accept.

    `named` has sub, cid and seq once the signature stands; `spends` tells that the token was authentic and
    ours, so that its seq is used up.
    """

    def __init__(self, rc: str, named: Mapping[str, Any] | None = None, *, spends: bool = False) -> None:
        super().__init__(rc)
        self.rc = rc
        self.named = dict(named or {})
        self.spends = spends


class AlreadyDone(Exception):
    """A token that was dealt with before; its receipt is to be sent again as it was."""

    def __init__(self, done: Done) -> None:
        super().__init__(done.jti)
        self.done = done


@dataclass(frozen=True, slots=True)
class Accepted:
    """A token that passed; whether the machine can do it now is for the till."""

    claims: CommandClaims
    opened: SealedPlaintext | None

    @property
    def operator(self) -> str:
        """The number of the operator it is for; empty when it is for the machine."""
        return self.claims.op or ""


class Judge:
    """One method for each rule, called by `check` in the order of the protocol."""

    def check(self, token: str, state: State, now: int) -> Accepted:
        """Judge a token at this time (Unix seconds); raises Refused or AlreadyDone."""
        unverified = self.form(token)
        entry = self.key(unverified.kid, state)
        raw = self.signature(unverified, entry)
        self.addressee(raw, state)
        claims = self.shape(raw)
        self.window(claims, entry, state, now)
        self.scope(claims, entry)
        self.repeated(claims, state)
        self.in_time(claims, now)
        self.in_sequence(claims, state.hwm)
        self.supported(claims)
        self.guards(claims, now)
        self.arguments(claims)
        return Accepted(claims, self.opened(claims, state))

    def form(self, token: str) -> jose.Unverified:
        """Size, canonical base64url, exact header."""
        try:
            return jose.read(token, TYP_COMMAND)
        except jose.JoseError as error:
            raise Refused(error.code) from None

    def key(self, kid: str, state: State) -> dict[str, Any]:
        """The key's entry in the keyset; a revoked key has none."""
        if kid in state.revoked or kid in state.keyset["revoked"]:
            raise Refused("key_revoked")
        entry = _entry(kid, state)
        if entry is None:
            raise Refused("unknown_key")
        return entry

    def signature(self, unverified: jose.Unverified, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The signature, then strict JSON."""
        try:
            return unverified.claims(entry["jwk"])
        except jose.JoseError as error:
            raise Refused(error.code) from None

    def addressee(self, raw: Mapping[str, Any], state: State) -> None:
        """From our issuer, for this terminal, for its present key."""
        wanted = {
            "wrong_issuer": ("iss", state.origin),
            "wrong_audience": ("aud", state.tid),
            "wrong_key": ("jkt", jose.kid16(state.sign_key)),
        }
        for rc, (name, value) in wanted.items():
            if raw.get(name) != value:
                raise Refused(rc, _named(raw))

    def shape(self, raw: Mapping[str, Any]) -> CommandClaims:
        """Every claim of the right form."""
        try:
            return parse_command(raw)
        except ProtocolError:
            raise Refused("malformed", _named(raw)) from None

    def window(self, claims: CommandClaims, entry: Mapping[str, Any], state: State, now: int) -> None:
        """The key is in use at this time, and so is the keyset that vouches for it."""
        if not entry["nbf"] - SKEW <= now <= min(entry["exp"], state.keyset["exp"]) + SKEW:
            raise _refuse(claims, "key_scope", spends=False)

    def scope(self, claims: CommandClaims, entry: Mapping[str, Any]) -> None:
        """The key may sign this command."""
        if claims.cmd in SUPPORTED and claims.cmd not in entry["cmds"]:
            raise _refuse(claims, "key_scope", spends=False)

    def repeated(self, claims: CommandClaims, state: State) -> None:
        """Not one of the last that were dealt with."""
        for done in state.done:
            if done.jti == claims.jti:
                raise AlreadyDone(done)

    def in_time(self, claims: CommandClaims, now: int) -> None:
        """Neither early nor late, by two minutes."""
        if max(claims.iat, claims.nbf or 0) > now + SKEW:
            raise _refuse(claims, "not_yet_valid")
        if claims.exp < now - SKEW:
            raise _refuse(claims, "expired")

    def in_sequence(self, claims: CommandClaims, hwm: int) -> None:
        """Above everything seen, and not absurdly far above."""
        if claims.seq <= hwm:
            raise _refuse(claims, "seq_replayed", spends=False)
        if claims.seq > hwm + SEQ_STEP_MAX:
            raise _refuse(claims, "seq_gap", spends=False)

    def supported(self, claims: CommandClaims) -> None:
        """A command this machine knows."""
        if claims.cmd not in SUPPORTED:
            raise _refuse(claims, "unsupported_cmd")

    def guards(self, claims: CommandClaims, now: int) -> None:
        """What a dangerous command needs besides a signature; a guard we do not know is not met."""
        if claims.cmd != FACTORY_RESET:
            if claims.guard:
                raise _refuse(claims, "guard_failed")
            return
        short = claims.exp - claims.iat <= LIFETIME[FACTORY_RESET]
        if not (short and self.approved(claims) and (self.backed_up(claims, now) or self.stolen(claims))):
            raise _refuse(claims, "guard_failed")

    def approved(self, claims: CommandClaims) -> bool:
        """Whether somebody other than who asked agreed."""
        return bool(claims.apr) and claims.by not in claims.apr

    def backed_up(self, claims: CommandClaims, now: int) -> bool:
        """Whether there is a backup of the last 24 hours."""
        made, reference = claims.guard.get("bk_at"), claims.guard.get("bk")
        if set(claims.guard) != {"bk", "bk_at"} or not isinstance(reference, str) or not reference:
            return False
        return type(made) is int and now - BACKUP_AGE_MAX <= made <= now + SKEW

    def stolen(self, claims: CommandClaims) -> bool:
        """Whether the machine is said to be stolen, which needs no backup."""
        return claims.guard == STOLEN

    def arguments(self, claims: CommandClaims) -> None:
        """What this command needs to be told, and nothing sealed where nothing is secret."""
        if not _ARGUMENTS[claims.cmd](claims) or (claims.sealed is not None and claims.cmd != SET_CREDENTIAL):
            raise _refuse(claims, "malformed")

    def opened(self, claims: CommandClaims, state: State) -> SealedPlaintext | None:
        """Open the sealed part and compare it with the outside."""
        if claims.sealed is None:
            return None
        try:
            opened = parse_sealed(jose.open_sealed(claims.sealed, state.open_key, claims.cid))
        except (jose.JoseError, ProtocolError):
            raise _refuse(claims, "open_failed") from None
        if (opened.cid, opened.aud, opened.op) != (claims.cid, claims.aud, claims.op):
            raise _refuse(claims, "inner_mismatch")
        return opened


def check(token: str, state: State, now: int) -> Accepted:
    """Judge a token by all rules; raises Refused or AlreadyDone."""
    return Judge().check(token, state, now)


def check_keyset(token: str, state: State) -> KeysetClaims:
    """Judge the next keyset by all rules."""
    return Trust().check(token, state)


def names_unknown_key(token: str, state: State) -> bool:
    """Whether a newer keyset might help to read this token."""
    try:
        kid = jose.read(token, TYP_COMMAND).kid
    except jose.JoseError:
        return False
    return kid not in state.revoked and _entry(kid, state) is None


def _entry(kid: str, state: State) -> dict[str, Any] | None:
    return next((key for key in state.keyset["keys"] if jose.kid16(key["jwk"]) == kid), None)


def _named(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a receipt repeats of an authentic token; nothing if those claims have no sound form."""
    seq = raw.get("seq")
    if is_id(raw.get("jti"), "tok") and is_id(raw.get("cid"), "cmd") and type(seq) is int and seq > 0:
        return {"sub": raw["jti"], "cid": raw["cid"], "seq": seq}
    return {}


def _refuse(claims: CommandClaims, rc: str, *, spends: bool = True) -> Refused:
    return Refused(rc, {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}, spends=spends)


def _credential_arguments(claims: CommandClaims) -> bool:
    choose = claims.args.get("choose", False)
    return claims.op is not None and type(choose) is bool and choose is (claims.sealed is None)


def _message_arguments(claims: CommandClaims) -> bool:
    text = claims.args.get("text")
    return isinstance(text, str) and len(text) <= _MESSAGE_MAX and text.isprintable()


def _reboot_arguments(claims: CommandClaims) -> bool:
    idle_max = claims.args.get("idle_max", 0)
    return claims.op is None and type(idle_max) is int and 0 <= idle_max <= _IDLE_MAX


_ARGUMENTS: Final[Mapping[str, Callable[[CommandClaims], bool]]] = {
    SET_CREDENTIAL: _credential_arguments,
    UNLOCK: lambda claims: True,
    LOCK: lambda claims: True,
    MESSAGE: _message_arguments,
    VOID: lambda claims: is_id(claims.args.get("ref"), "cmd"),
    REBOOT: _reboot_arguments,
    FACTORY_RESET: lambda claims: claims.op is None and claims.args.get("scope") == "all",
}
