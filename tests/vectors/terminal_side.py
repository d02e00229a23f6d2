"""Vectors a terminal judges: commands, sealed parts and keysets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from terminals import jose
from terminals.protocol import TYP_COMMAND, TYP_KEYSET
from tests.vectors import world
from tests.vectors.commands import refusals
from tests.vectors.forgeries import forgeries
from tests.vectors.parts import PLAINTEXT, parts
from tests.vectors.vector import Vector, step
from tests.vectors.world import CID, COMMAND, HWM, ISSUER, NEXT_ROOT, ROOT, STRANGER, T0

GIVEN: dict[str, Any] = {
    "now": T0,
    "origin": world.ORIGIN,
    "tid": world.TID,
    "hwm": HWM,
    "time_floor": 0,
    "busy": False,
    "unsettled_batch": False,
    "keyset": "see keys.json",
    "roots": [jose.public_jwk(ROOT)],
    "operators": {"00": "739154", "01": "5913", "03": "2846", "05": "8065", "99": "40718263"},
}
# Which rows of our protocol notes a group of forgeries belongs to.
ROWS = {
    "J01": (18,),
    "J02": (18,),
    "J03": (18,),
    "J04": (20,),
    "J05": (20,),
    "J06": (19, 20),
    "J07": (17,),
    "J08": (17, 29),
    "J09": (29,),
    "J11": (29,),
    "J12": (28,),
    "J13": (26,),
    "J14": (26,),
    "J15": (26,),
    "J16": (27,),
    "J17": (21,),
    "J18": (21,),
    "J19": (25,),
    "J20": (23,),
    "J21": (24,),
    "J22": (24,),
    "J23": (25,),
    "J25": (29,),
    "J26": (31, 33),
    "J27": (31,),
    "J30": (29,),
}


def commands() -> Iterator[Vector]:
    """Everything that can lie in an inbox."""
    yield from _good()
    yield from _in_turn()
    yield from _passwords()
    for item in forgeries(COMMAND):
        yield _refused(item.group, item.name, item.token, item.code, HWM)
    for refusal in refusals():
        hwm = HWM + refusal.spends
        yield _refused(refusal.group, refusal.name, refusal.token, refusal.rc, hwm)


def _refused(group: str, name: str, token: str, rc: str, hwm: int) -> Vector:
    expect = {"st": "rejected", "rc": rc, "hwm": hwm}
    return Vector("command", "A command", name, (step(token, expect),), (group,), ROWS[group])


def _token(key: dict[str, str] = ISSUER, **changes: Any) -> str:
    return jose.sign(world.command(**changes), TYP_COMMAND, key)


def _plain(number: int, seq: int, **changes: Any) -> str:
    """A command without a sealed part; `number` tells its ids from others."""
    names = {"jti": f"tok_{number:016}", "cid": f"cmd_{number:016}", "seq": seq, "sealed": None}
    return _token(**{**names, **changes})


def _applied(hwm: int, **more: Any) -> dict[str, Any]:
    return {"st": "applied", "hwm": hwm, **more}


def _good() -> Iterator[Vector]:
    changed = _applied(HWM + 1, password={"03": "482917"})
    reboot = _token(world.REBOOTER, cmd="reboot", op=None, sealed=None)
    late = _plain(1, HWM + 1, cmd="unlock", iat=T0 - 200, exp=T0 - 120)
    cases: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
        ("a new password, sealed", COMMAND.good(), changed, (1,)),
        ("a reboot by the key for reboots", reboot, _applied(HWM + 1), (2,)),
        ("seq may jump", _token(seq=HWM + 4), _applied(HWM + 4), (6,)),
        ("seq as far ahead as allowed", _token(seq=HWM + 2**20), _applied(HWM + 2**20), (6,)),
        ("ended 120 s ago", late, _applied(HWM + 1), (28,)),
        ("made 120 s in the future", _token(iat=T0 + 120), changed, (28,)),
        ("claims nobody knows are ignored", _token(colour="blue", more={"a": 1}), changed, ()),
        ("a screen to choose a password", _plain(1, 42, args={"choose": True}), _applied(42), ()),
        ("lock one operator", _plain(1, 42, cmd="lock"), _applied(42), ()),
        ("lock the machine", _plain(1, 42, cmd="lock", op=None), _applied(42), ()),
        ("unlock one operator", _plain(1, 42, cmd="unlock"), _applied(42), ()),
        (
            "a text",
            _plain(1, 42, cmd="message", op=None, args={"text": "热线 400 800 1234"}),
            _applied(42),
            (),
        ),
        (
            "nothing to void",
            _plain(1, 42, cmd="void", op=None, args={"ref": "cmd_" + "N" * 16}),
            _applied(42),
            (),
        ),
    ]
    for what, token, expect, rows in cases:
        yield Vector("command", "A command", what, (step(token, expect),), (), rows)


def _in_turn() -> Iterator[Vector]:
    """Several tokens, one after the other."""
    good = COMMAND.good()
    choose = _plain(1, 42, args={"choose": True})
    void = _plain(2, 43, cmd="void", op=None, args={"ref": "cmd_" + f"{1:016}"})
    again = _token(jti="tok_" + "B" * 16, seq=HWM + 5)
    deferred = {"st": "deferred", "rc": "busy", "hwm": HWM}
    replayed = {"st": "rejected", "rc": "seq_replayed", "hwm": 43}
    done = _applied(42)
    yield _steps(
        "the same token twice: the same receipt", (5,), step(good, done), step(good, {"st": "repeated"})
    )
    yield _steps(
        "deferred while a sale runs, then applied",
        (7,),
        step(good, deferred, busy=True),
        step(good, done, busy=False),
    )
    yield _steps(
        "a void overtakes a deferred command",
        (11,),
        step(choose, deferred, busy=True),
        step(void, _applied(43)),
        step(choose, replayed, busy=False),
    )
    yield _steps(
        "issued again under the same cid: reported, not done twice",
        (16,),
        step(good, done),
        step(again, _applied(46)),
    )
    yield _steps(
        "a lower number after a higher one",
        (27,),
        step(_plain(3, 43, cmd="unlock"), _applied(43)),
        step(_plain(1, 42, cmd="lock"), replayed),
    )
    floor = T0 + 3 * 86_400 + 121
    expired = {"st": "rejected", "rc": "expired", "hwm": 42}
    yield Vector(
        "command",
        "A command",
        "a clock before the floor is not believed",
        (step(good, expired),),
        ("J12",),
        (28,),
        {"now": 0, "time_floor": floor},
    )


def _steps(what: str, rows: tuple[int, ...], *steps: dict[str, Any]) -> Vector:
    return Vector("command", "A command", what, steps, (), rows)


def _passwords() -> Iterator[Vector]:
    """What a till that takes digits, 4 to 6 for an operator, does not take as a password."""
    wrong = {
        "too short": "482",
        "too long": "4829170",
        "letters": "48a917",
        "the one in force": "2846",
        "a factory password": "123456",
        "that of another operator": "5913",
    }
    for name, password in wrong.items():
        yield _policy(f"password: {name}", world.sealed(password=password), (), ())
    phc = {
        "four gigabytes": "$argon2id$v=19$m=4194304,t=2,p=1$AAAA$AAAA",
        "eight kilobytes": "$argon2id$v=19$m=8,t=2,p=1$AAAA$AAAA",
        "255 lanes": "$argon2id$v=19$m=19456,t=2,p=255$AAAA$AAAA",
        "argon2i": "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA",
        "no salt": "$argon2id$v=19$m=19456,t=2,p=1$$AAAA",
    }
    for name, password in phc.items():
        yield _policy(
            f"a hash is only an odd password: {name}", world.sealed(password=password), ("J24",), (30,)
        )
    huge = world.sealed(password="$argon2id$" + "A" * 800)
    expect = {"st": "rejected", "rc": "open_failed", "hwm": HWM + 1}
    yield Vector(
        "command",
        "A command",
        "a hash of 800 characters",
        (step(_token(sealed=huge), expect),),
        ("J24",),
        (30,),
    )


def _policy(what: str, sealed: str, groups: tuple[str, ...], rows: tuple[int, ...]) -> Vector:
    expect = {"st": "rejected", "rc": "policy_rejected", "hwm": HWM + 1}
    return Vector("command", "A command", what, (step(_token(sealed=sealed), expect),), groups, rows)


def sealed_parts() -> Iterator[Vector]:
    """Sealed parts on their own, for who tests the opening first."""
    state = {"key": "terminal_open", "apv": CID}
    good = step(world.sealed(), {"plaintext": PLAINTEXT})
    yield Vector("sealed", "A command", "a good one", (good,), (), (1,), state)
    for group, name, sealed in parts():
        refused = step(sealed, {"code": "open_failed"})
        yield Vector("sealed", "A command", name, (refused,), (group,), ROWS[group], state)


def keysets() -> Iterator[Vector]:
    """Keysets that follow version 1, and such as do not."""
    both = [jose.public_jwk(root) for root in (ROOT, NEXT_ROOT)]
    new = [jose.public_jwk(NEXT_ROOT)]
    walk = (
        step(_keyset(2), {"ver": 2}),
        step(_keyset(3, roots=both), {"ver": 3}),
        step(_keyset(4, NEXT_ROOT, roots=new), {"ver": 4}),
        step(_keyset(5, NEXT_ROOT, roots=new), {"ver": 5}),
        step(_keyset(6), {"ver": 5}),
    )
    yield Vector(
        "keyset", "Issuer keys", "four steps on to another root, the old one is out", walk, (), (8, 32)
    )
    private, stranger = [ROOT], [jose.public_jwk(STRANGER)]
    refused = {
        "two versions on": _keyset(3),
        "the same version again": _keyset(1),
        "a version back": _keyset(0),
        "of another issuer": _keyset(2, iss="https://evil.example"),
        "signed by an online key": _keyset(2, ISSUER),
        "signed by a stranger": _keyset(2, STRANGER),
        "a stranger vouching for itself": _keyset(2, STRANGER, roots=stranger),
        "the roots changed by the new root alone": _keyset(2, NEXT_ROOT, roots=new),
        "no roots": _keyset(2, roots=[]),
        "five roots": _keyset(2, roots=both + stranger + new + stranger),
        "a private root": _keyset(2, roots=private),
        "a root of small order": _keyset(2, roots=[{**new[0], "x": jose.b64u(bytes([1, *bytes(31)]))}]),
        "seventeen keys": _keyset(2, keys=world.keyset()["keys"] * 3),
        "without a list of the revoked": _keyset(2, revoked=None),
        "with the type of a command": jose.sign(world.keyset(2), TYP_COMMAND, ROOT),
        "too large": _keyset(2, more="x" * 8192),
        "JSON instead of the compact form": '{"payload":"","signatures":[]}',
        "nothing": "",
    }
    for name, token in refused.items():
        yield Vector("keyset", "Issuer keys", name, (step(token, {"ver": 1}),), ("J28",), (32,))


def _keyset(ver: int, key: dict[str, str] = ROOT, **changes: Any) -> str:
    return jose.sign(world.keyset(ver, **changes), TYP_KEYSET, key)
