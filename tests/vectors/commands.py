"""Authentic-looking commands a terminal must refuse, each with its reason and whether it spends its seq."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from terminals import jose
from terminals.protocol import TYP_COMMAND
from tests.vectors import world
from tests.vectors.parts import OTHER, parts
from tests.vectors.world import HWM, ISSUER, T0, command, forge

DAY = 86_400
BACKUP = {"bk": "bk_1", "bk_at": T0 - 3600}
HEADER = {"alg": "Ed25519", "typ": TYP_COMMAND, "kid": jose.kid16(ISSUER)}


class Refusal(NamedTuple):
    """A token, the reason code it must get, and whether the high-water mark rises to its seq."""

    group: str
    name: str
    token: str
    rc: str
    spends: bool = False


def refusals() -> Iterator[Refusal]:
    """All of them."""
    for group in (_times, _names, _sequence, _keys, _arguments, _resets, _shapes, _bindings, _parts):
        yield from group()


def _signed(
    group: str, variants: dict[str, dict[str, Any]], rc: str, *, spends: bool = False
) -> Iterator[Refusal]:
    for name, changes in variants.items():
        yield Refusal(group, name, jose.sign(command(**changes), TYP_COMMAND, ISSUER), rc, spends)


def _null(member: str) -> str:
    return forge(HEADER, {**command(), member: None}, ISSUER)


def _by(key: dict[str, str], **changes: Any) -> str:
    return jose.sign(command(**changes), TYP_COMMAND, key)


def _resets() -> Iterator[Refusal]:
    """Factory resets that lack what they must bring (J27)."""
    whole = {"args": {"scope": "all"}, "exp": T0 + 3600, "apr": ["usr_2"], "guard": BACKUP}
    variants: dict[str, dict[str, Any]] = {
        "nobody approved": {"apr": None},
        "an empty list of approvers": {"apr": []},
        "approved by who asked": {"apr": ["usr_1"]},
        "one person twice": {"apr": ["usr_1", "usr_1"]},
        "no guard": {"guard": None},
        "a backup 25 h old": {"guard": {"bk": "bk_1", "bk_at": T0 - 25 * 3600}},
        "a backup of tomorrow": {"guard": {"bk": "bk_1", "bk_at": T0 + DAY}},
        "waived for no reason": {"guard": {"waive": "because"}},
        "good for two hours": {"exp": T0 + 7200},
    }
    for name, change in variants.items():
        token = _by(world.RESETTER, cmd="factory_reset", sealed=None, op=None, **{**whole, **change})
        yield Refusal("J27", f"factory reset: {name}", token, "guard_failed", spends=True)
    half = {**whole, "args": {"scope": "half"}}
    token = _by(world.RESETTER, cmd="factory_reset", sealed=None, op=None, **half)
    yield Refusal("J27", "factory reset: of half the memory", token, "malformed", spends=True)


def _times() -> Iterator[Refusal]:
    expired = {
        "yesterday": {"iat": T0 - 2 * DAY, "exp": T0 - DAY},
        "121 s ago": {"iat": T0 - 200, "exp": T0 - 121},
    }
    early = {"iat in 121 s": {"iat": T0 + 121}, "iat tomorrow": {"iat": T0 + DAY, "exp": T0 + 2 * DAY}}
    early |= {"nbf in 121 s": {"nbf": T0 + 121}}
    yield from _signed("J12", expired, "expired", spends=True)
    yield from _signed("J12", early, "not_yet_valid", spends=True)
    wrong: dict[str, Any] = {
        "text": str(T0 + 5),
        "true": True,
        "year 292277026596": 2**63 - 1,
        "negative": -1,
    }
    wrong |= {"float": float(T0 + 5), "missing": None, "list": [T0 + 5], "before iat": T0 - 1}
    yield from _signed("J12", {f"exp {name}": {"exp": exp} for name, exp in wrong.items()}, "malformed")
    yield from _signed("J12", {"lives 8 days": {"exp": T0 + 8 * DAY}, "nbf text": {"nbf": "1"}}, "malformed")
    yield from _signed("J12", {"iat missing": {"iat": None}, "iat text": {"iat": "1"}}, "malformed")


def _names() -> Iterator[Refusal]:
    tid = world.TID
    audiences: dict[str, Any] = {"other": "trm_" + "Z" * 16, "both": [tid, "trm_" + "Z" * 16], "one": [tid]}
    audiences |= {"prefix": tid[:-1], "upper": tid.upper(), "slash": tid + "/", "missing": None, "true": True}
    yield from _signed(
        "J13", {f"aud {name}": {"aud": aud} for name, aud in audiences.items()}, "wrong_audience"
    )
    yield Refusal("J13", "aud null", _null("aud"), "wrong_audience")
    issuers: dict[str, Any] = {
        "cyrillic": "https://rekey.exаmple",
        "http": "http://rekey.example",
        "missing": None,
    }
    issuers |= {
        "port": "https://rekey.example:443",
        "slash": "https://rekey.example/",
        "list": [world.ORIGIN],
    }
    yield from _signed("J14", {f"iss {name}": {"iss": iss} for name, iss in issuers.items()}, "wrong_issuer")
    keys = {"old": jose.kid16(world.STRANGER), "full": jose.thumbprint(world.TERMINAL), "missing": None}
    yield from _signed("J15", {f"jkt {name}": {"jkt": jkt} for name, jkt in keys.items()}, "wrong_key")


def _sequence() -> Iterator[Refusal]:
    yield from _signed("J16", {"the last": {"seq": HWM}, "an old one": {"seq": 1}}, "seq_replayed")
    yield from _signed("J16", {"too far": {"seq": HWM + 2**20 + 1}, "2^53-1": {"seq": 2**53 - 1}}, "seq_gap")
    wrong: dict[str, Any] = {"2^53": 2**53, "text": "43", "float": 43.0, "-1": -1, "0": 0, "true": True}
    wrong |= {"missing": None, "list": [43]}
    yield from _signed("J16", {f"seq {name}": {"seq": seq} for name, seq in wrong.items()}, "malformed")
    raw = json.dumps(command())
    yield Refusal(
        "J11", "duplicate seq", forge(HEADER, (raw[:-1] + ',"seq":43}').encode(), ISSUER), "malformed"
    )


def _keys() -> Iterator[Refusal]:
    for name, key, rc in (
        ("revoked", world.REVOKED, "key_revoked"),
        ("not yet valid", world.EARLY, "key_scope"),
        ("past its window", world.PAST, "key_scope"),
        ("of another scope", world.LOW_SCOPE, "key_scope"),
        ("for factory resets only", world.RESETTER, "key_scope"),
        ("a root", world.ROOT, "unknown_key"),
        ("the terminal's own", world.TERMINAL, "unknown_key"),
        ("a stranger", world.STRANGER, "unknown_key"),
    ):
        yield Refusal("J26", name, jose.sign(command(), TYP_COMMAND, key), rc)
    for cmd in ("factory_reset", "reboot"):
        other = {"cmd": cmd, "sealed": None, "op": None, "apr": ["usr_2"], "guard": BACKUP}
        yield Refusal("J26", f"{cmd} by the key for passwords", _by(ISSUER, **other), "key_scope")
    low = jose.sign(command(jti="tok_" + "B" * 16), TYP_COMMAND, world.LOW_SCOPE)
    yield Refusal("J19", "sealed part re-signed by a low-scope key", low, "key_scope")


def _arguments() -> Iterator[Refusal]:
    plain = {"sealed": None}
    yield from _signed(
        "J27",
        {
            "unheard of": {"cmd": "format_disk", **plain},
            "upper case": {"cmd": "SET_CREDENTIAL"},
        },
        "unsupported_cmd",
        spends=True,
    )
    yield from _signed("J27", {"guard": {"guard": {"bk": "x"}}}, "guard_failed", spends=True)
    yield from _signed(
        "J27",
        {
            "neither sealed nor choose": plain,
            "both sealed and choose": {"args": {"choose": True}},
            "choose 1": {"args": {"choose": 1}, **plain},
            "choose false": {"args": {"choose": False}, **plain},
            "no operator": {"op": None},
            "sealed lock": {"cmd": "lock"},
            "message without text": {"cmd": "message", **plain},
            "message with an escape": {"cmd": "message", "args": {"text": "\x1b[2J"}, **plain},
            "void of nothing": {"cmd": "void", **plain},
        },
        "malformed",
        spends=True,
    )


def _shapes() -> Iterator[Refusal]:
    shapes: dict[str, dict[str, Any]] = {
        "args list": {"args": [1]},
        "guard text": {"guard": "x"},
        "cmd list": {"cmd": [1]},
    }
    shapes |= {
        "op number": {"op": 3},
        "op full width": {"op": "０３"},
        "by missing": {"by": None},
        "apr text": {"apr": "u"},
    }
    shapes |= {
        "sealed object": {"sealed": {}},
        "jti short": {"jti": "tok_1"},
        "cid of a token": {"cid": "tok_" + "A" * 16},
    }
    yield from _signed("J12", shapes, "malformed")
    yield from _signed(
        "J12",
        {"operator not here": {"op": "77", "sealed": world.sealed(op="77")}},
        "operator_unknown",
        spends=True,
    )


def _bindings() -> Iterator[Refusal]:
    inner = {
        "cid": world.sealed(OTHER, apv=world.CID),
        "aud": world.sealed(aud="trm_" + "Z" * 16),
        "op": world.sealed(op="01"),
    }
    yield from _signed(
        "J19",
        {f"inner {name}": {"sealed": part} for name, part in inner.items()},
        "inner_mismatch",
        spends=True,
    )


def _parts() -> Iterator[Refusal]:
    for group, name, sealed in parts():
        yield Refusal(group, name, _by(ISSUER, sealed=sealed), "open_failed", spends=True)
