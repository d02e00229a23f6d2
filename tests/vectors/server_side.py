"""Vectors a server judges: receipts, bearers, enrollments and key rolls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from terminals import jose
from terminals.protocol import TYP_AUTH, TYP_ENROLL, TYP_KEYROLL, TYP_POSSESSION, TYP_RECEIPT
from tests.vectors import world
from tests.vectors.forgeries import forgeries
from tests.vectors.parts import P
from tests.vectors.terminal_side import ROWS
from tests.vectors.vector import Vector, step
from tests.vectors.world import BEARER, COMMAND, NEXT, OPENING, RECEIPT, STRANGER, T0, TERMINAL

GIVEN: dict[str, Any] = {
    "now": T0,
    "origin": world.ORIGIN,
    "tid": world.TID,
    "terminal": "active",
    "command": "fetched",
    "issued": "the first vector of command.json",
    "code": "BCD-FGH-JKL",
    "code_age": 0,
}
NEXT_OPENING = world.opening_key(0x35)
# The y of a point of each order that divides 8, and encodings that are not canonical.
SMALL = {
    "order 1": 1,
    "order 2": P - 1,
    "order 4": 0,
    "order 8": 55188659117513257062467267217118295137698188065244968500265048394206261417927,
    "order 8, the other": 2707385501144840649318225287225658788936804267575313519463743609750303402022,
    "not canonical": P + 1,
    "not on the curve": 2,
}


def _with(claims: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


# --- receipts ---------------------------------------------------------------------------------------------


def receipts() -> Iterator[Vector]:
    """Batches of receipts about the one token that was issued; the answer has a result for each."""
    yield from _good_receipts()
    yield from _contradictions()
    for item in forgeries(RECEIPT):
        yield _receipts(
            item.name, step([item.token], ["invalid"]), groups=(item.group,), rows=ROWS[item.group]
        )
    for name, changes in _unfit().items():
        yield _receipts(name, step([_receipt(**changes)], ["invalid"]), groups=("J29",), rows=(34,))


def _receipts(
    what: str, *steps: dict[str, Any], groups: tuple[str, ...] = (), rows: Any = (), **state: Any
) -> Vector:
    return Vector("receipt", "Receipts", what, steps, groups, tuple(rows), state)


def _receipt(number: int = 1, **changes: Any) -> str:
    claims = world.receipt(jti=f"rcp_{number:016}", tok=jose.digest(COMMAND.good()))
    return jose.sign(_with(claims, changes), TYP_RECEIPT, TERMINAL)


def _good_receipts() -> Iterator[Vector]:
    good = _receipt()
    deferred = _receipt(2, st="deferred", rc="busy", retry=30, hwm=41)
    sign_on = _receipt(3, st="signed_on")
    refused = _receipt(4, st="rejected", rc="policy_rejected")
    replayed = _receipt(5, st="rejected", rc="seq_replayed", hwm=50)
    unread = _receipt(6, st="rejected", rc="bad_signature", sub=None, cid=None, seq=None, hwm=41)
    eddsa = world.forge(
        {**RECEIPT.header, "alg": "EdDSA"}, world.receipt(tok=jose.digest(COMMAND.good())), TERMINAL
    )
    yield _receipts("applied", step([good], ["ok"]), rows=(1,))
    yield _receipts("the same bytes twice", step([good], ["ok"]), step([good], ["duplicate"]), rows=(5, 15))
    yield _receipts("twice in one request", step([good, good], ["ok", "duplicate"]), rows=(15,))
    yield _receipts("deferred, then applied", step([deferred], ["ok"]), step([good], ["ok"]), rows=(7,))
    yield _receipts("applied and signed on at once", step([good, sign_on], ["ok", "ok"]), rows=(1,))
    yield _receipts("rejected with a reason", step([refused], ["ok"]))
    yield _receipts("not even read: only the hash is known", step([unread], ["ok"]))
    yield _receipts("seq_replayed after a restored server", step([replayed], ["ok"]), rows=(16,))
    yield _receipts("signed with the older name EdDSA", step([eddsa], ["ok"]), rows=(14,))
    yield _receipts("a bad one does not block the next", step(["a.b.c", good], ["invalid", "ok"]), rows=(34,))
    for state in ("superseded", "expired", "cancelled"):
        yield _receipts(f"applied although {state}", step([good], ["late"]), rows=(10,), command=state)


def _contradictions() -> Iterator[Vector]:
    """What was told before stands; what no token of ours explains is unknown."""
    good, rows, groups = _receipt(), (34,), ("J29",)
    forked = _receipt(at=T0 - 1)
    refused = _receipt(2, st="rejected", rc="policy_rejected")
    other = _receipt(3, tok=jose.digest("other bytes"))
    never = _receipt(4, sub="tok_" + "N" * 16)
    moved = _receipt(5, cid="cmd_" + "N" * 16)
    number = _receipt(6, seq=7)
    yield _receipts(
        "one jti, two contents", step([good], ["ok"]), step([forked], ["conflict"]), groups=groups, rows=rows
    )
    yield _receipts(
        "applied, then rejected",
        step([good], ["ok"]),
        step([refused], ["conflict"]),
        groups=groups,
        rows=rows,
    )
    yield _receipts(
        "rejected, then applied",
        step([refused], ["ok"]),
        step([good], ["conflict"]),
        groups=groups,
        rows=rows,
    )
    for what, token in (
        ("of other bytes", other),
        ("of a token never issued", never),
        ("of another command", moved),
        ("with another seq", number),
    ):
        yield _receipts(what, step([token], ["unknown"]), groups=groups, rows=rows)


def _unfit() -> dict[str, dict[str, Any]]:
    return {
        "of another terminal": {"iss": "trm_" + "Z" * 16},
        "for another server": {"aud": "https://evil.example/terminal/v1"},
        "aud with a trailing slash": {"aud": world.AUDIENCE + "/"},
        "applied with a reason": {"rc": "expired"},
        "rejected without a reason": {"st": "rejected"},
        "rejected because busy": {"st": "rejected", "rc": "busy"},
        "deferred without a time": {"st": "deferred", "rc": "busy"},
        "deferred for two days": {"st": "deferred", "rc": "busy", "retry": 172_800},
        "a status nobody knows": {"st": "done"},
        "a reason nobody knows": {"st": "rejected", "rc": "because"},
        "without the hash": {"tok": None},
        "a hash of 31 bytes": {"tok": jose.b64u(bytes(31))},
        "an id of another kind": {"jti": "tok_" + "A" * 16},
        "hwm as text": {"hwm": "42"},
        "applied without saying which": {"sub": None},
    }


# --- bearers ----------------------------------------------------------------------------------------------


def bearers() -> Iterator[Vector]:
    """Who is asking: the answer of any door that wants a bearer; `ok` is everything but 401 and 403."""
    good = {"status": "ok"}
    yield _bearer("fresh", BEARER.good(), good, (1,))
    eddsa = world.forge({**BEARER.header, "alg": "EdDSA"}, BEARER.claims, TERMINAL)
    yield _bearer("with the older name EdDSA", eddsa, good, (14,))
    yield _bearer("at the age of 509 s", BEARER.good(), good, (3,), now=T0 + 509)
    yield _bearer(
        "509 s after it was made", BEARER.good(), {"status": 401, "code": "clock_skew"}, (3,), now=T0 + 510
    )
    yield from _badly_timed()
    for name, changes in _unfit_bearers().items():
        yield _bearer(name, _signed(changes), {"status": 401, "code": "invalid_auth"}, (35,))
    revoked = {"status": 403, "code": "revoked"}
    yield _bearer("of a revoked terminal", BEARER.good(), revoked, (35,), terminal="revoked")
    for item in forgeries(BEARER):
        expect = {"status": 401, "code": "invalid_auth"}
        rows = ROWS[item.group]
        yield Vector("bearer", "Who is asking", item.name, (step(item.token, expect),), (item.group,), rows)


def _bearer(what: str, token: str, expect: dict[str, Any], rows: tuple[int, ...], **state: Any) -> Vector:
    return Vector("bearer", "Who is asking", what, (step(token, expect),), (), rows, state)


def _signed(changes: Mapping[str, Any]) -> str:
    return jose.sign(_with(world.bearer(), changes), TYP_AUTH, TERMINAL)


def _badly_timed() -> Iterator[Vector]:
    skew = {"status": 401, "code": "clock_skew", "server_time": T0}
    wrong = {
        "lives 601 s": {"exp": T0 - 60 + 601},
        "121 s ahead of us": {"iat": T0 + 121, "exp": T0 + 600},
        "ended 30 s ago": {"iat": T0 - 500, "exp": T0 - 30},
        "ends before it begins": {"iat": T0 + 60, "exp": T0},
        "three hours fast": {"iat": T0 + 10_740, "exp": T0 + 11_280},
        "of 1970": {"iat": 0, "exp": 540},
    }
    for name, changes in wrong.items():
        yield _bearer(name, _signed(changes), skew, (4, 35))
    for name, changes in {
        "lives 600 s": {"exp": T0 - 60 + 600},
        "120 s ahead of us": {"iat": T0 + 120, "exp": T0 + 600},
        "ended 29 s ago": {"iat": T0 - 500, "exp": T0 - 29},
    }.items():
        yield _bearer(name, _signed(changes), {"status": "ok"}, (4,))


def _unfit_bearers() -> dict[str, dict[str, Any]]:
    return {
        "aud with a trailing slash": {"aud": world.AUDIENCE + "/"},
        "aud without the path": {"aud": world.ORIGIN},
        "aud of another server": {"aud": "https://evil.example/terminal/v1"},
        "aud missing": {"aud": None},
        "iss of another terminal": {"iss": "trm_" + "Z" * 16},
        "iss missing": {"iss": None},
        "exp missing": {"exp": None},
        "exp as text": {"exp": str(T0 + 480)},
        "jti missing": {"jti": None},
        "jti of one character": {"jti": "A"},
    }


# --- enrollment -------------------------------------------------------------------------------------------


def enrollments() -> Iterator[Vector]:
    """Requests for a terminal that waits to be paired with one code."""
    good, paired = _enroll(), {"status": 201}
    yield _enrolled("with the code as shown", (1,), step(good, paired))
    for typed in ("bcdfghjkl", "bcd fgh jkl", "BCD.FGH.JKL", "ＢＣＤ－ＦＧＨ－ＪＫＬ"):
        yield _enrolled(f"typed as {typed}", (13,), step(_enroll(code=typed), paired))
    failed = {"status": 401, "code": "pairing_failed"}
    wrong = _enroll(code="BCD-FGH-JKM")
    yield _enrolled("the secret is wrong", (37,), step(wrong, failed), step(good, paired))
    yield _enrolled("the sixth guess is right", (37,), *[step(wrong, failed)] * 5, step(good, failed))
    yield _enrolled("used a second time", (37,), step(good, paired), step(_enroll(STRANGER), failed))
    yield _enrolled("16 minutes old", (37,), step(good, failed), code_age=960)
    for name, code in {
        "nobody knows the first three": "XXX-FGH-JKL",
        "no code at all": "-",
        "too long": "BCD-FGH-JKL-M",
        "digits with a slip": "123-4567-8901-1",
    }.items():
        yield _enrolled(name, (37,), step(_enroll(code=code), failed))
    skew = {"status": 401, "code": "clock_skew", "server_time": T0}
    yield _enrolled(
        "three hours fast, then right",
        (4,),
        step(_enroll(iat=T0 + 10_800, exp=T0 + 11_100), skew),
        step(good, paired),
    )
    in_use = {"status": 409, "code": "key_in_use"}
    registered: dict[str, Any] = {"registered": [jose.public_jwk(TERMINAL)]}
    yield _enrolled("a key another terminal has", (40,), step(good, in_use), **registered)
    for name, token in _unfit_enrollments().items():
        yield _enrolled(name, (22,), step(token, {"status": 400, "code": "malformed"}), groups=("J10",))


def _enrolled(
    what: str, rows: tuple[int, ...], *steps: dict[str, Any], groups: tuple[str, ...] = (), **state: Any
) -> Vector:
    return Vector("enroll", "Pairing", what, steps, groups, rows, {"terminal": "new", **state})


def enroll_claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good enrollment request."""
    claims: dict[str, Any] = {
        "aud": world.AUDIENCE,
        "iat": T0,
        "exp": T0 + 300,
        "jti": "E" * 16,
        "code": "BCD-FGH-JKL",
        "enc": jose.public_jwk(OPENING),
        "cap": {"keypad": "digits", "cmds": ["set_credential"]},
        "hw": {"vendor": "Rekey", "model": "RK-100", "serial": "RK20260001"},
        "fw": "4.2.1",
    }
    return _with(claims, changes)


def _enroll(key: dict[str, str] = TERMINAL, **changes: Any) -> str:
    return jose.sign(enroll_claims(**changes), TYP_ENROLL, key, embed_jwk=True)


def _point(crv: str, number: int) -> dict[str, str]:
    return {"kty": "OKP", "crv": crv, "x": jose.b64u(number.to_bytes(32, "little"))}


def _unfit_enrollments() -> dict[str, str]:
    header = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": jose.public_jwk(TERMINAL)}
    universal = jose.b64u((1).to_bytes(32, "little") + bytes(32))
    claims = enroll_claims()
    found: dict[str, str] = {}
    for name, y in SMALL.items():
        small = {**header, "jwk": _point("Ed25519", y)}
        found[f"signing key: {name}"] = f"{world.encoded(small)}.{world.encoded(claims)}.{universal}"
    points = {"zero": 0, "one": 1, "p-1": P - 1, "p": P, "2^255-1": 2**255 - 1}
    for name, u in points.items():
        found[f"opening key: {name}"] = _enroll(enc=_point("X25519", u))
    heads: dict[str, dict[str, Any]] = {
        "a kid beside the key": {**header, "kid": jose.kid16(TERMINAL)},
        "a kid instead of the key": {"alg": "Ed25519", "typ": TYP_ENROLL, "kid": jose.kid16(TERMINAL)},
        "a private key in the header": {**header, "jwk": TERMINAL},
        "another member": {**header, "cty": "JWT"},
        "alg none": {**header, "alg": "none"},
        "the type of a bearer": {**header, "typ": TYP_AUTH},
    }
    found |= {name: world.forge(head, claims, TERMINAL) for name, head in heads.items()}
    changes: dict[str, dict[str, Any]] = {
        "lives 301 s": {"exp": T0 + 301},
        "for another server": {"aud": "https://evil.example/terminal/v1"},
        "without a code": {"code": None},
        "without an opening key": {"enc": None},
        "a private opening key": {"enc": OPENING},
        "a keypad nobody has": {"cap": {"keypad": "touch", "cmds": []}},
        "a control character in the serial": {"hw": {"vendor": "R", "model": "R", "serial": "\u0007"}},
        "too large": {"fw": "4" * 4096},
    }
    found |= {name: _enroll(**change) for name, change in changes.items()}
    found["signed by another key"] = world.forge(header, claims, STRANGER)
    return found


# --- key roll ---------------------------------------------------------------------------------------------


def keyrolls() -> Iterator[Vector]:
    """The present key vouches for a new one whose own proof is inside."""
    rolling = {"status": 200, "state": "rolling"}
    good = _roll()
    yield _rolled("to two new keys", (9,), step(good, rolling))
    yield _rolled(
        "the answer was lost: asked again", (9,), step(good, rolling), step(_roll(jti="S" * 16), rolling)
    )
    yield _rolled(
        "the opening key stays", (9,), step(_roll(proof=_proof(enc=jose.public_jwk(OPENING))), rolling)
    )
    in_use = {"status": 409, "code": "key_in_use"}
    yield _rolled(
        "to a key another terminal has", (40,), step(good, in_use), registered=[jose.public_jwk(NEXT)]
    )
    for name, token in _unfit_rolls().items():
        yield _rolled(name, (40,), step(token, {"status": 400, "code": "malformed"}))


def _rolled(what: str, rows: tuple[int, ...], *steps: dict[str, Any], **state: Any) -> Vector:
    return Vector("keyroll", "Pairing", what, steps, (), rows, state)


def _proof(key: dict[str, str] = NEXT, **changes: Any) -> str:
    claims = {
        "old": jose.kid16(TERMINAL),
        "enc": jose.public_jwk(NEXT_OPENING),
        "aud": world.AUDIENCE,
        "iat": T0,
        "jti": "P" * 16,
    }
    return jose.sign(_with(claims, changes), TYP_POSSESSION, key, embed_jwk=True)


def _roll(key: dict[str, str] = TERMINAL, **changes: Any) -> str:
    claims = {
        "iss": world.TID,
        "aud": world.AUDIENCE,
        "iat": T0,
        "exp": T0 + 300,
        "jti": "R" * 16,
        "proof": _proof(),
    }
    return jose.sign(_with(claims, changes), TYP_KEYROLL, key)


def _unfit_rolls() -> dict[str, str]:
    head = {"alg": "Ed25519", "typ": TYP_POSSESSION, "jwk": _point("Ed25519", 1)}
    universal = jose.b64u((1).to_bytes(32, "little") + bytes(32))
    claims = world.encoded({"old": jose.kid16(TERMINAL), "aud": world.AUDIENCE, "iat": T0, "jti": "P" * 16})
    stolen = world.forge(
        {"alg": "Ed25519", "typ": TYP_POSSESSION, "jwk": jose.public_jwk(NEXT)}, {"old": "x"}, STRANGER
    )
    return {
        "the proof names another old key": _roll(proof=_proof(old=jose.kid16(STRANGER))),
        "the proof is for another server": _roll(proof=_proof(aud="https://evil.example/terminal/v1")),
        "the proof is a bearer": _roll(proof=BEARER.good()),
        "no proof": _roll(proof=None),
        "a proof signed by another key": _roll(proof=stolen),
        "a new key of small order": _roll(proof=f"{world.encoded(head)}.{claims}.{universal}"),
        "a new opening key of low order": _roll(proof=_proof(enc=_point("X25519", 0))),
        "a private opening key": _roll(proof=_proof(enc=NEXT_OPENING)),
        "lives 301 s": _roll(exp=T0 + 301),
        "for another server": _roll(aud="https://evil.example/terminal/v1"),
        "of another terminal": _roll(iss="trm_" + "Z" * 16),
        "signed by the new key": _roll(NEXT),
        "a receipt": RECEIPT.good(),
        "nothing": "",
    }
