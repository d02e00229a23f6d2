"""The checks a token must pass, in the order of the protocol (§4), each with its reason code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from terminals import jose
from terminals.claims import (
    CommandClaims,
    KeysetClaims,
    SealedPlaintext,
    parse_command,
    parse_keyset,
    parse_sealed,
)
from terminals.protocol import (
    LOCK,
    MESSAGE,
    SEQ_STEP_MAX,
    SET_CREDENTIAL,
    SKEW,
    TYP_COMMAND,
    TYP_KEYSET,
    UNLOCK,
    VOID,
    ProtocolError,
    is_id,
)
from terminals.simulator.state import Done, State

SUPPORTED: Final = (SET_CREDENTIAL, UNLOCK, LOCK, MESSAGE, VOID)
_MESSAGE_MAX: Final = 140


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


def check(token: str, state: State, now: int) -> Accepted:
    """Judge a token at this time (Unix seconds); raises Refused or AlreadyDone."""
    raw, commands = _authentic(token, state, now)
    _addressed_to_us(raw, state)
    try:
        claims = parse_command(raw)
    except ProtocolError:
        raise Refused("malformed", _named(raw)) from None
    if claims.cmd in SUPPORTED and claims.cmd not in commands:
        raise Refused("key_scope", _named(raw))
    for done in state.done:
        if done.jti == claims.jti:
            raise AlreadyDone(done)
    _in_time(claims, now)
    _in_sequence(claims, state.hwm)
    _supported(claims)
    return Accepted(claims, _opened(claims, state))


def names_unknown_key(token: str, state: State) -> bool:
    """Whether a newer keyset might help to read this token."""
    try:
        return _entry(jose.read(token, TYP_COMMAND).kid, state) is None
    except (jose.JoseError, Refused):
        return False


def check_keyset(token: str, state: State) -> KeysetClaims:
    """Judge the next keyset: signed by a pinned root, for our origin, exactly one version on."""
    roots = {jose.kid16(root): root for root in state.roots}
    keyset = parse_keyset(jose.verify(token, TYP_KEYSET, roots, max_size=2 * 4096))
    if keyset.iss != state.origin or keyset.ver != state.keyset["ver"] + 1:
        raise ProtocolError("conflict", "not the next keyset of this issuer")
    for jwk in (*keyset.roots, *(key.jwk for key in keyset.keys)):
        jose.validate_public_key(jwk, jose.SIGN)
    return keyset


def _authentic(token: str, state: State, now: int) -> tuple[dict[str, Any], list[str]]:
    try:
        unverified = jose.read(token, TYP_COMMAND)
        entry = _entry(unverified.kid, state)
        if entry is None:
            raise Refused("unknown_key")
        raw = unverified.claims(entry["jwk"])
    except jose.JoseError as error:
        raise Refused(error.code) from None
    if not entry["nbf"] - SKEW <= now <= entry["exp"] + SKEW:
        raise Refused("key_scope", _named(raw))
    return raw, entry["cmds"]


def _entry(kid: str, state: State) -> dict[str, Any] | None:
    if kid in state.keyset["revoked"]:
        raise Refused("key_revoked")
    return next((key for key in state.keyset["keys"] if jose.kid16(key["jwk"]) == kid), None)


def _named(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a receipt repeats of an authentic token; nothing if those claims have no sound form."""
    seq = raw.get("seq")
    if is_id(raw.get("jti"), "tok") and is_id(raw.get("cid"), "cmd") and type(seq) is int and seq > 0:
        return {"sub": raw["jti"], "cid": raw["cid"], "seq": seq}
    return {}


def _addressed_to_us(raw: Mapping[str, Any], state: State) -> None:
    wanted = {
        "wrong_issuer": ("iss", state.origin),
        "wrong_audience": ("aud", state.tid),
        "wrong_key": ("jkt", jose.kid16(state.sign_key)),
    }
    for rc, (name, value) in wanted.items():
        if raw.get(name) != value:
            raise Refused(rc, _named(raw))


def _refuse(claims: CommandClaims, rc: str, *, spends: bool = True) -> Refused:
    return Refused(rc, {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}, spends=spends)


def _in_time(claims: CommandClaims, now: int) -> None:
    if max(claims.iat, claims.nbf or 0) > now + SKEW:
        raise _refuse(claims, "not_yet_valid")
    if claims.exp < now - SKEW:
        raise _refuse(claims, "expired")


def _in_sequence(claims: CommandClaims, hwm: int) -> None:
    if claims.seq <= hwm:
        raise _refuse(claims, "seq_replayed", spends=False)
    if claims.seq > hwm + SEQ_STEP_MAX:
        raise _refuse(claims, "seq_gap", spends=False)


def _supported(claims: CommandClaims) -> None:
    if claims.cmd not in SUPPORTED:
        raise _refuse(claims, "unsupported_cmd")
    if claims.guard:
        raise _refuse(claims, "guard_failed")
    if not _ARGUMENTS[claims.cmd](claims) or (claims.sealed is not None and claims.cmd != SET_CREDENTIAL):
        raise _refuse(claims, "malformed")


def _credential_arguments(claims: CommandClaims) -> bool:
    choose = claims.args.get("choose", False)
    return claims.op is not None and type(choose) is bool and choose is (claims.sealed is None)


def _message_arguments(claims: CommandClaims) -> bool:
    text = claims.args.get("text")
    return isinstance(text, str) and len(text) <= _MESSAGE_MAX and text.isprintable()


_ARGUMENTS: Final[Mapping[str, Callable[[CommandClaims], bool]]] = {
    SET_CREDENTIAL: _credential_arguments,
    UNLOCK: lambda claims: True,
    LOCK: lambda claims: True,
    MESSAGE: _message_arguments,
    VOID: lambda claims: is_id(claims.args.get("ref"), "cmd"),
}


def _opened(claims: CommandClaims, state: State) -> SealedPlaintext | None:
    if claims.sealed is None:
        return None
    try:
        opened = parse_sealed(jose.open_sealed(claims.sealed, state.open_key, claims.cid))
    except (jose.JoseError, ProtocolError):
        raise _refuse(claims, "open_failed") from None
    if (opened.cid, opened.aud, opened.op) != (claims.cid, claims.aud, claims.op):
        raise _refuse(claims, "inner_mismatch")
    return opened
