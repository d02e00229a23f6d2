"""Terminals that open what does not fit, check in another order, or count wrongly."""

from __future__ import annotations

import json
from typing import Any

from terminals import jose
from terminals.simulator.checks import SUPPORTED, Refused
from terminals.simulator.state import State
from terminals.simulator.till import Till
from tests.terminals.broken.terminal import breaks, forgiven, instead, judge

# --- sealed parts -----------------------------------------------------------------------------------------


def _as_bound(claims: Any, state: State) -> Any:
    """Open it with the binding that the part itself names."""
    header = json.loads(jose.unb64u(claims.sealed.split(".")[0]))
    opened = jose.open_sealed(claims.sealed, state.open_key, jose.unb64u(header["apv"]).decode())
    return type("Opened", (), opened)()


def _header(claims: Any) -> dict[str, Any]:
    return (
        json.loads(jose.unb64u(claims.sealed.split(".")[0]))
        if claims.sealed and claims.sealed[0] == "e"
        else {}
    )


breaks(
    "refuse-sealed-moved",
    judge=judge(
        opened=forgiven(
            lambda refusal, claims, state: (
                _as_bound(claims, state)
                if _header(claims).get("apv") == jose.b64u(b"cmd_" + b"Z" * 16)
                else None
            )
        )
    ),
)
breaks(
    "refuse-sealed-enc",
    judge=judge(opened=instead("malformed", lambda c, s: _header(c).get("enc") == "A128GCM")),
)
breaks("refuse-sealed-zip", judge=judge(opened=instead("malformed", lambda c, s: "zip" in _header(c))))
breaks(
    "refuse-sealed-epk",
    judge=judge(opened=instead("malformed", lambda c, s: _header(c).get("epk", {}).get("x") == "A" * 43)),
)


def _mismatch(name: str) -> Any:
    """A judge that does not compare this member."""

    def mend(refusal: Refused, claims: Any, state: State) -> Any:
        if refusal.rc != "inner_mismatch":
            return None
        inside = jose.open_sealed(claims.sealed, state.open_key, claims.cid)
        return type("Opened", (), inside)() if inside[name] != getattr(claims, name) else None

    return judge(opened=forgiven(mend))


breaks("refuse-inner-op", judge=_mismatch("op"))
breaks("refuse-inner-cid", judge=_mismatch("cid"))


class TakesAnyPassword(Till):
    """No policy at all."""

    def _acceptable(self, state: State, order: Any) -> None:
        """Whatever it is."""


breaks("refuse-policy", till=TakesAnyPassword)


# --- the order of checks, and what is spent ---------------------------------------------------------------

breaks(
    "order-signature-before-issuer",
    judge=judge(
        signature=lambda real: (
            lambda unread, entry: (
                _wrong_issuer(json.loads(unread._payload))
                if "elsewhere" in str(json.loads(unread._payload).get("iss"))
                else real(unread, entry)
            )
        )
    ),
)


def _wrong_issuer(raw: dict[str, Any]) -> None:
    raise Refused("wrong_issuer", {"sub": raw["jti"], "cid": raw["cid"], "seq": raw["seq"]})


breaks(
    "order-issuer-before-time",
    judge=judge(
        addressee=lambda real: (
            lambda raw, state: (
                _expired(raw)
                if "elsewhere" in raw["iss"] and raw["exp"] < state.time_floor
                else real(raw, state)
            )
        )
    ),
)


def _expired(raw: dict[str, Any]) -> None:
    raise Refused("expired", {"sub": raw["jti"], "cid": raw["cid"], "seq": raw["seq"]})


breaks(
    "order-time-before-seq",
    judge=judge(
        repeated=instead(
            "seq_replayed", lambda claims, state: claims.seq == 1 and claims.exp < state.time_floor
        )
    ),
)
breaks(
    "order-seq-before-command",
    judge=judge(repeated=instead("unsupported_cmd", lambda claims, state: claims.cmd not in SUPPORTED)),
)
breaks(
    "order-seq-before-sealed",
    judge=judge(repeated=instead("open_failed", lambda claims, state: claims.sealed == "a.b.c.d.e")),
)


def _costs_nothing(real: Any) -> Any:
    def step(claims: Any, now: int) -> None:
        try:
            real(claims, now)
        except Refused as refusal:
            raise Refused(refusal.rc, refusal.named, spends=False) from None

    return step


breaks("spends", judge=judge(in_time=_costs_nothing))


class PaysForForgeries(Till):
    """A forged token uses up numbers."""

    def _refuse(self, state: State, token: str, refusal: Refused) -> None:
        if refusal.rc == "bad_signature":
            state.hwm += 1000
        super()._refuse(state, token, refusal)


breaks("spends-not", till=PaysForForgeries)
