"""Terminals that judge a token wrongly, each in one respect."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from terminals import jose
from terminals.protocol import (
    FACTORY_RESET,
    LOCK,
    MESSAGE,
    REBOOT,
    SET_CREDENTIAL,
    TYP_COMMAND,
    TYP_RECEIPT,
    VOID,
)
from terminals.simulator.checks import SUPPORTED, Judge, Refused
from terminals.simulator.state import State
from tests.terminals.broken.terminal import breaks, carelessly, forgiven, instead, judge, skipped

UNSETTLED = (("batch", True),)


# --- form and header --------------------------------------------------------------------------------------

breaks(
    "refuse-size",
    judge=judge(
        form=forgiven(
            lambda refusal, token: (
                jose.read(token, TYP_COMMAND, max_size=2**20) if len(token) > 4096 else None
            )
        )
    ),
)
breaks("refuse-header-extra", judge=carelessly(lambda header: "cty" in header))
breaks("refuse-header-b64", judge=carelessly(lambda header: "b64" in header))
breaks("refuse-header-alg-none", judge=carelessly(lambda header: header.get("alg") == "none"))
breaks("refuse-header-eddsa", judge=carelessly(lambda header: header.get("alg") == "EdDSA"))
breaks("refuse-header-typ", judge=carelessly(lambda header: header.get("typ") == TYP_RECEIPT))
breaks("refuse-base64-padding", judge=judge(form=lambda real: lambda token: real(token.rstrip("="))))


def _cleared(token: str) -> str:
    """The token with its unused last bits cleared."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = letters.find(token[-1:])
    return token[:-1] + letters[at & ~15] if at >= 0 and len(token.rpartition(".")[2]) == 86 else token


breaks("refuse-base64-stray-bits", judge=judge(form=lambda real: lambda token: real(_cleared(token))))
breaks(
    "refuse-json-twice",
    judge=judge(
        signature=forgiven(
            lambda refusal, unread, entry: json.loads(unread._payload) if refusal.rc == "malformed" else None
        )
    ),
)


# --- keys and signatures ----------------------------------------------------------------------------------


def _first_life(state: State) -> bool:
    return bool(state.keyset["ver"] == 1)


def _entry(state: State, kid: str) -> dict[str, Any] | None:
    return next((key for key in state.keyset["keys"] if jose.kid16(key["jwk"]) == kid), None)


def _root(state: State, kid: str) -> dict[str, Any] | None:
    root = next((jwk for jwk in state.roots if jose.kid16(jwk) == kid), None)
    return root and {"jwk": root, "cmds": list(SUPPORTED), "nbf": 0, "exp": 2**40}


breaks(
    "refuse-key-unknown",
    judge=judge(
        key=instead(
            "key_revoked",
            lambda kid, state, *_: (
                _first_life(state) and _entry(state, kid) is None and _root(state, kid) is None
            ),
        )
    ),
)
breaks("refuse-key-root", judge=judge(key=forgiven(lambda refusal, kid, state, *_: _root(state, kid))))
breaks(
    "refuse-key-revoked",
    judge=judge(
        key=forgiven(lambda refusal, kid, state, *_: _entry(state, kid) if _first_life(state) else None)
    ),
)
breaks(
    "keyset-revoked",
    judge=judge(
        key=forgiven(lambda refusal, kid, state, *_: None if _first_life(state) else _entry(state, kid))
    ),
)
breaks(
    "refuse-signature",
    judge=judge(
        signature=forgiven(
            lambda refusal, unread, entry: (
                json.loads(unread._payload)
                if refusal.rc == "bad_signature" and unread._signature != bytes(64)
                else None
            )
        )
    ),
)
breaks("refuse-key-early", judge=judge(window=skipped(lambda *given: True)))
breaks("refuse-key-scope", judge=judge(scope=skipped(lambda claims, entry: claims.cmd == SET_CREDENTIAL)))
breaks(
    "refuse-reset-scope",
    judge=judge(
        scope=instead(
            "guard_failed",
            lambda claims, entry: claims.cmd == FACTORY_RESET and FACTORY_RESET not in entry["cmds"],
        )
    ),
)
breaks(
    "refuse-reboot-scope",
    judge=judge(
        scope=instead(
            "unsupported_cmd", lambda claims, entry: claims.cmd == REBOOT and REBOOT not in entry["cmds"]
        )
    ),
)


# --- whom it is for, and its shape ------------------------------------------------------------------------

breaks(
    "refuse-issuer",
    judge=judge(
        addressee=lambda real: (
            lambda raw, state: real(
                {**raw, "iss": state.origin} if raw["exp"] > state.time_floor else raw, state
            )
        )
    ),
)
breaks(
    "refuse-audience",
    judge=judge(addressee=lambda real: lambda raw, state: real({**raw, "aud": state.tid}, state)),
)
breaks(
    "refuse-jkt",
    judge=judge(
        addressee=lambda real: lambda raw, state: real({**raw, "jkt": jose.kid16(state.sign_key)}, state)
    ),
)
breaks(
    "refuse-shape-op",
    judge=judge(
        shape=lambda real: (
            lambda raw: real({**raw, "op": f"{raw['op']:02}"} if isinstance(raw.get("op"), int) else raw)
        )
    ),
)
breaks("refuse-shape-seq", judge=judge(shape=lambda real: lambda raw: real({**raw, "seq": int(raw["seq"])})))
breaks(
    "refuse-shape-life",
    judge=judge(shape=lambda real: lambda raw: real({**raw, "exp": min(raw["exp"], raw["iat"] + 86_400)})),
)


def _knows(raw: dict[str, Any], claims: Any) -> Any:
    if set(raw) - set(type(claims).__slots__):
        raise Refused("malformed", {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq})
    return claims


breaks("apply-unknown-claims", judge=judge(shape=lambda real: lambda raw: _knows(raw, real(raw))))


# --- times and numbers ------------------------------------------------------------------------------------

breaks(
    "refuse-expired",
    judge=judge(
        in_time=lambda real: (
            lambda claims, now: real(
                replace(claims, exp=max(claims.exp, now)) if claims.seq > 1 else claims, now
            )
        )
    ),
)
breaks(
    "refuse-early",
    judge=judge(
        in_time=lambda real: lambda claims, now: real(replace(claims, iat=min(claims.iat, now)), now)
    ),
)
breaks(
    "refuse-nbf", judge=judge(in_time=lambda real: lambda claims, now: real(replace(claims, nbf=None), now))
)


def _to_the_second(claims: Any, now: int) -> None:
    if claims.exp < now - 30:
        raise Refused("expired", {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}, spends=True)
    if max(claims.iat, claims.nbf or 0) > now + 30:
        raise Refused("not_yet_valid", {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}, spends=True)


breaks("apply-tolerance", judge=judge(in_time=lambda real: _to_the_second))
breaks("refuse-replayed", judge=judge(in_sequence=skipped(lambda claims, hwm: claims.seq == hwm)))
breaks("refuse-gap", judge=judge(in_sequence=skipped(lambda claims, hwm: claims.seq == hwm + 2**20 + 1000)))
breaks("apply-jump", judge=judge(in_sequence=instead("seq_gap", lambda claims, hwm: claims.seq > hwm + 50)))


# --- what is asked for ------------------------------------------------------------------------------------

breaks(
    "refuse-unsupported",
    judge=judge(supported=instead("malformed", lambda claims: claims.cmd not in SUPPORTED)),
)
breaks("refuse-operator", judge=judge(supported=instead("policy_rejected", lambda claims: claims.op == "77")))
breaks(
    "apply-choose",
    judge=judge(arguments=instead("malformed", lambda claims: bool(claims.args.get("choose")))),
)
breaks("apply-lock", judge=judge(supported=instead("unsupported_cmd", lambda claims: claims.cmd == LOCK)))
breaks("apply-message", judge=judge(arguments=skipped(lambda claims: claims.cmd == MESSAGE)))
breaks(
    "apply-void",
    judge=judge(
        opened=lambda real: (
            lambda claims, state: (
                _refuse(claims)
                if claims.cmd == VOID and claims.args["ref"] not in state.waits
                else real(claims, state)
            )
        )
    ),
)


def _refuse(claims: Any) -> None:
    raise Refused("malformed", {"sub": claims.jti, "cid": claims.cid, "seq": claims.seq}, spends=True)


breaks(
    "refuse-reset-approved",
    judge=type("A", (Judge,), {"approved": lambda self, claims: claims.by not in claims.apr}),
    facts=UNSETTLED,
)
breaks(
    "refuse-reset-four-eyes",
    judge=type("F", (Judge,), {"approved": lambda self, claims: bool(claims.apr)}),
    facts=UNSETTLED,
)
breaks(
    "refuse-reset-backup",
    judge=type(
        "B",
        (Judge,),
        {"backed_up": lambda self, claims, now: not claims.guard or Judge.backed_up(self, claims, now)},
    ),
    facts=UNSETTLED,
)
breaks(
    "refuse-reset-old-backup",
    judge=type("O", (Judge,), {"backed_up": lambda self, claims, now: "bk" in claims.guard}),
    facts=UNSETTLED,
)
breaks(
    "refuse-reset-life",
    judge=judge(
        guards=lambda real: (
            lambda claims, now: real(replace(claims, exp=min(claims.exp, claims.iat + 3600)), now)
        )
    ),
    facts=UNSETTLED,
)
