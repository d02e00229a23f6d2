"""Vectors for what both sides read: JSON, base64url, public keys, codes, headers and offline answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from terminals import jose, ocra, pairing
from terminals.headers import parse_telemetry
from tests.vectors import world
from tests.vectors.parts import POINTS
from tests.vectors.server_side import SMALL
from tests.vectors.vector import Vector, step
from tests.vectors.world import OPENING, TERMINAL

RULES = "Ground rules"
OK, BAD = {"ok": True}, {"code": "malformed"}


GOOD_TEXTS = {
    "an empty object": b"{}",
    "spaces around": b' {"a" : 1}\n',
    "the largest number": b'{"a":9007199254740991}',
    "four deep": b'{"a":{"b":{"c":[]}}}',
    "brackets inside a text": b'{"a":"[[[[[[{{{{{{"}',
    "an escaped quote": rb'{"a":"\"[[[[[[\\"}',
    "Chinese": '{"a":"福满楼"}'.encode(),
    "a pair of surrogates": rb'{"a":"\ud83d\ude00"}',
    "null is a value": b'{"a":null}',
}
BAD_TEXTS = {
    "nothing": b"",
    "an array": b"[]",
    "a text": b'"a"',
    "null": b"null",
    "a member twice": b'{"a":1,"a":1}',
    "a member twice, once escaped": rb'{"a":1,"\u0061":2}',
    "a member twice, further down": b'{"a":{"b":1,"b":2}}',
    "a fraction": b'{"a":1.5}',
    "a whole fraction": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "1e400": b'{"a":1e400}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "-0": b'{"a":-0}',
    "2^53": b'{"a":9007199254740992}',
    "-2^53": b'{"a":-9007199254740992}',
    "300 digits": b'{"a":' + b"9" * 300 + b"}",
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "five deep": b'{"a":{"b":{"c":{"d":[]}}}}',
    "a hundred thousand deep": b'{"a":' + b"[" * 100_000,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "not UTF-8": b'{"a":"\xff"}',
    "an overlong slash": b'{"a":"\xc0\xaf"}',
    "a surrogate as bytes": b'{"a":"\xed\xa0\x80"}',
    "a lone surrogate": rb'{"a":"\ud800"}',
    "a control character": b'{"a":"\x01"}',
    "a tab in a text": b'{"a":"\t"}',
    "bytes after the end": b"{}x",
    "two objects": b"{}{}",
    "NUL after the end": b"{}\0",
    "a comma at the end": b'{"a":1,}',
    "a comment": b"{}//",
    "single quotes": b"{'a':1}",
    "cut short": b'{"a":',
}


def texts() -> Iterator[Vector]:
    """Bytes (base64url) that are or are not one strict JSON object."""
    for cases, expect in ((GOOD_TEXTS, OK), (BAD_TEXTS, BAD)):
        for what, raw in cases.items():
            groups = ("J11",) if expect is BAD else ()
            yield Vector("json", RULES, what, (step(jose.b64u(raw), expect),), groups, (29,))


def keys() -> Iterator[Vector]:
    """Public keys to register or to refuse; `crv` says what for."""
    for crv, key in (("Ed25519", TERMINAL), ("X25519", OPENING)):
        good = jose.public_jwk(key)
        thumbprint = {"thumbprint": jose.thumbprint(key), "kid": jose.kid16(key)}
        yield _key("sound", crv, good, thumbprint)
        wrong: dict[str, Any] = {
            "with its private part": key,
            "another kty": {**good, "kty": "EC"},
            "another curve": {**good, "crv": "Ed448"},
            "no x": {"kty": "OKP", "crv": crv},
            "padded": {**good, "x": good["x"] + "="},
            "31 bytes": {**good, "x": jose.b64u(bytes(31))},
            "x a number": {**good, "x": 5},
            "a member more": {**good, "use": "sig"},
            "a list": [good],
            "null": None,
        }
        for what, jwk in wrong.items():
            yield _key(what, crv, jwk, BAD, "J10")
    for what, y in SMALL.items():
        yield _key(what, "Ed25519", _point("Ed25519", y), BAD, "J10")
    for place, u in enumerate(POINTS):
        yield _key(f"low order or not canonical, {place}", "X25519", _point("X25519", u), BAD, "J20")


def _key(what: str, crv: str, jwk: Any, expect: dict[str, Any], group: str = "") -> Vector:
    groups = (group,) if group else ()
    return Vector("key", RULES, f"{crv}: {what}", (step(jwk, expect),), groups, (22, 23), {"crv": crv})


def _point(crv: str, number: int) -> dict[str, str]:
    return {"kty": "OKP", "crv": crv, "x": jose.b64u(number.to_bytes(32, "little"))}


def codes() -> Iterator[Vector]:
    """Pairing codes as people type them, and the text of the QR."""
    letters = {"selector": "BCD", "secret": "FGHJKL"}
    digits = {"selector": "123", "secret": "45678901"}
    check = pairing.check_digit("12345678901")
    typed: dict[str, Any] = {
        "BCD-FGH-JKL": letters,
        "bcdfghjkl": letters,
        " bcd fgh jkl ": letters,
        "BCD–FGH—JKL": letters,
        "ＢＣＤＦＧＨＪＫＬ": letters,
        "bCd.fGh_jKl": letters,
        f"123-4567-8901-{check}": digits,
        f"12345678901{check}": digits,
        f"１２３ ４５６７ ８９０１ {check}": digits,
    }
    slip = str((int(check) + 1) % 10)
    wrong = [
        "",
        "-",
        "BCD-FGH-JK",
        "BCD-FGH-JKLM",
        "ACD-FGH-JKL",
        "BCD-FGH-JK1",
        f"12345678901{slip}",
        f"12345678910{check}",
        f"21345678901{check}",
        "123456789012345",
        "BCDFGHJKL" * 8,
        "БCDFGHJKL",
    ]
    for text, parsed in (*typed.items(), *((text, None) for text in wrong)):
        what = f"typed as {text!r}" if parsed else f"no code: {text!r}"
        yield Vector("pairing-code", "Pairing", what[:60], (step(text, {"code": parsed}),), (), (13, 37))
    root = jose.thumbprint(world.ROOT)
    good = {"origin": world.ORIGIN, "code": "BCD-FGH-JKL", "root": root}
    scanned: dict[str, Any] = {
        f"REKEY1:{world.ORIGIN}|BCD-FGH-JKL|{root}": good,
        f"REKEY2:{world.ORIGIN}|BCD-FGH-JKL|{root}": None,
        f"REKEY1:{world.ORIGIN}|BCD-FGH-JKL": None,
        f"REKEY1:{world.ORIGIN}|BCD-FGH-JKL|{root[:-1]}": None,
        f"REKEY1:ftp://rekey.example|BCD-FGH-JKL|{root}": None,
        world.ORIGIN: None,
    }
    for text, parsed in scanned.items():
        what = "a scanned QR" if parsed else f"no QR of ours: {text[:30]}"
        yield Vector("pairing-code", "Pairing", what, (step(text, {"qr": parsed}),), (), (1,))


def headers() -> Iterator[Vector]:
    """`Rekey-Telemetry`: what is kept of it. None of these is ever a reason to refuse a poll."""
    texts = {
        "everything": 'pv=1, fw="4.2.1", bat=83, chg=?1, hwm=41, ks=3, batch=?0, idle=?1',
        "one member": "hwm=41",
        "a bare member is true": "idle",
        "a member twice: the last one": "bat=1, bat=2",
        "unknown members": "colour=red, bat=5, x=1",
        "an escaped quote": r'fw="a\"b"',
        "of the wrong type": 'bat="83", hwm=?1, fw=7',
        "out of range": "bat=101, hwm=-1, pv=256",
        "firmware of 41 characters": f'fw="{"4" * 41}"',
        "nothing": "",
        "no dictionary": "bat=83,",
        "no dictionary either": "=1",
        "a fraction": "bat=8.5",
        "parameters": "bat=83;unit=percent",
        "not ASCII": 'fw="四"',
        "too long": "x=" + "1" * 256,
    }
    for what, text in texts.items():
        telemetry = parse_telemetry(text)
        kept = {
            name: value
            for name in (telemetry.__slots__ if telemetry else ())
            if (value := getattr(telemetry, name)) is not None
        }
        yield Vector("telemetry", "Asking for work", what, (step(text, {"kept": kept}),))


# RFC 6287, appendix C: the one-way responses, from the published tables.
_SHA1 = "237653 243178 653583 740991 608993 388898 816933 224598 750600 294470"
_COUNTED = "65347737 86775851 78192410 71565254 10104329 65983500 70069104 91771096 75011558 08522129"
_PIN = "83238735 01501458 17957585 86776967 86807031"
_SHA512 = "07016083 63947962 70123924 25341727 33203315 34205738 44343969 51946085 20403879 31409299"
_TIMED = "95209754 55907591 22048402 24218844 36209546"
_SEED = b"1234567890" * 7
PIN, TIME = "1234", 0x132D0B6


def published() -> Iterator[Vector]:
    """The 40 one-way vectors of RFC 6287."""
    tables: list[tuple[str, int, str, dict[str, Any], bool, bool]] = [
        ("OCRA-1:HOTP-SHA1-6:QN08", 20, _SHA1, {}, False, True),
        ("OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1", 32, _COUNTED, {"pin": PIN}, True, False),
        ("OCRA-1:HOTP-SHA256-8:QN08-PSHA1", 32, _PIN, {"pin": PIN}, False, True),
        ("OCRA-1:HOTP-SHA512-8:C-QN08", 64, _SHA512, {}, True, True),
        ("OCRA-1:HOTP-SHA512-8:QN08-T1M", 64, _TIMED, {"timestep": TIME}, False, True),
    ]
    for suite, size, answers, more, counted, varied in tables:
        for place, answer in enumerate(answers.split()):
            given: dict[str, Any] = {
                "suite": suite,
                "key": _SEED[:size].hex(),
                "question": str(place) * 8 if varied else "12345678",
            }
            given |= {**more, **({"counter": place} if counted else {})}
            yield Vector(
                "ocra",
                "Unlocking without a network",
                f"RFC 6287: {suite}",
                (step(given, {"answer": answer}),),
                (),
                (12,),
            )


def unlocks() -> Iterator[Vector]:
    """Our own suite: what answers a question, and what does not."""
    key = bytes(range(32)).hex()
    base: dict[str, Any] = {
        "suite": ocra.SUITE,
        "key": key,
        "counter": 107,
        "question": "0748213951",
        "tid": world.TID,
        "op": "03",
    }
    variants: dict[str, dict[str, Any]] = {
        "the right answer": {},
        "for another operator": {"op": "01"},
        "for another terminal": {"tid": "trm_" + "Z" * 16},
        "for the counter before": {"counter": 106},
        "for a hundred numbers back": {"counter": 7},
        "for a question one digit off": {"question": "0748213961"},
        "under another key": {"key": "00" * 32},
    }
    for what, change in variants.items():
        given = base | change
        session = ocra.session_of(given["tid"], given["op"])
        answer = ocra.response(bytes.fromhex(given["key"]), given["counter"], given["question"], session)
        expect = {"answer": answer, "same_as_the_right_one": what == "the right answer"}
        yield Vector(
            "ocra",
            "Unlocking without a network",
            what,
            (step({**given, "session": session}, expect),),
            (),
            (39,),
        )
    yield from _questions()


def _questions() -> Iterator[Vector]:
    def question(counter: int) -> str:
        body = f"{counter % 100:02}4821395"
        return body + pairing.check_digit(body)

    cases: list[tuple[str, str, int, dict[str, Any]]] = [
        ("the next counter", question(8), 7, {"counter": 8}),
        ("50 ahead", question(57), 7, {"counter": 57}),
        ("51 ahead", question(58), 7, {"code": "out_of_window"}),
        ("the same counter again", question(7), 7, {"code": "out_of_window"}),
        ("over a hundred", question(102), 98, {"counter": 102}),
        ("one wrong digit", str((int(question(8)[0]) + 1) % 10) + question(8)[1:], 7, {"code": "slip"}),
        ("two neighbours swapped", question(8)[1::-1] + question(8)[2:], 7, {"code": "slip"}),
        ("nine digits", question(8)[:9], 7, {"code": "not_ten_digits"}),
        ("typed with spaces", f"{question(8)[:5]} {question(8)[5:]}", 7, {"counter": 8}),
    ]
    for what, typed, last_seen, expect in cases:
        given = {"typed": typed, "last_seen": last_seen}
        yield Vector(
            "ocra", "Unlocking without a network", f"a question: {what}", (step(given, expect),), (), (39,)
        )
