"""Authentic-looking commands a terminal must refuse, each with its reason and whether it spends its seq."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from terminals import jose
from terminals.protocol import TYP_COMMAND
from tests.vectors import world
from tests.vectors.world import HWM, ISSUER, T0, command, forge

DAY = 86_400
HEADER = {"alg": "Ed25519", "typ": TYP_COMMAND, "kid": jose.kid16(ISSUER)}
PLAINTEXT = {
    "cid": world.CID,
    "aud": world.TID,
    "op": "03",
    "password": "482917",
    "change_at_next_login": False,
}
P = 2**255 - 19


class Refusal(NamedTuple):
    """A token, the reason code it must get, and whether the high-water mark rises to its seq."""

    group: str
    name: str
    token: str
    rc: str
    spends: bool = False


def refusals() -> Iterator[Refusal]:
    """All of them."""
    for group in (
        _times,
        _names,
        _sequence,
        _keys,
        _arguments,
        _shapes,
        _bindings,
        _sealed_headers,
        _points,
        _ciphertexts,
    ):
        yield from group()


def _signed(
    group: str, variants: dict[str, dict[str, Any]], rc: str, *, spends: bool = False
) -> Iterator[Refusal]:
    for name, changes in variants.items():
        yield Refusal(group, name, jose.sign(command(**changes), TYP_COMMAND, ISSUER), rc, spends)


def _null(member: str) -> str:
    return forge(HEADER, {**command(), member: None}, ISSUER)


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
        ("a root", world.ROOT, "unknown_key"),
        ("the terminal's own", world.TERMINAL, "unknown_key"),
        ("a stranger", world.STRANGER, "unknown_key"),
    ):
        yield Refusal("J26", name, jose.sign(command(), TYP_COMMAND, key), rc)
    low = jose.sign(command(jti="tok_" + "B" * 16), TYP_COMMAND, world.LOW_SCOPE)
    yield Refusal("J19", "sealed part re-signed by a low-scope key", low, "key_scope")


def _arguments() -> Iterator[Refusal]:
    plain = {"sealed": None}
    yield from _signed(
        "J27",
        {
            "factory reset": {"cmd": "factory_reset", **plain, "apr": ["usr_1"]},
            "reboot": {"cmd": "reboot", **plain},
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
    other = "cmd_" + "D" * 16
    inner = {
        "cid": world.sealed(other, apv=world.CID),
        "aud": world.sealed(aud="trm_" + "Z" * 16),
        "op": world.sealed(op="01"),
    }
    yield from _signed(
        "J19",
        {f"inner {name}": {"sealed": part} for name, part in inner.items()},
        "inner_mismatch",
        spends=True,
    )
    moved = {
        "moved from another command": world.sealed(other),
        "for another key": _to(world.opening_key(0x34)),
    }
    moved |= {
        "a JWS for a JWE": world.COMMAND.good(),
        "empty": "a",
        "twice": world.sealed(password="p" * 60)[:-4],
    }
    moved |= {"plaintext": json.dumps(PLAINTEXT), "no password": _to(world.OPENING, password=None)}
    moved |= {
        "password number": _to(world.OPENING, password=482917),
        "change 1": _to(world.OPENING, change_at_next_login=1),
    }
    moved |= {
        "not an object": _raw(b"[1]"),
        "duplicate member": _raw(json.dumps(PLAINTEXT)[:-1].encode() + b',"op":"03"}'),
    }
    yield from _signed(
        "J23", {name: {"sealed": part} for name, part in moved.items()}, "open_failed", spends=True
    )


def _to(key: dict[str, str], **changes: Any) -> str:
    plaintext = {name: value for name, value in {**PLAINTEXT, **changes}.items() if value is not None}
    return jose.seal(plaintext, key, world.CID)


def _header(**changes: Any) -> dict[str, Any]:
    header = {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "kid": jose.kid16(world.OPENING),
        "apv": jose.b64u(world.CID.encode()),
    }
    return {name: value for name, value in {**header, **changes}.items() if value is not None}


def _raw(body: bytes, key: Any = None, **changes: Any) -> str:
    """A JWE made by the library with everything it knows, ours or not."""
    registry = jwe.JWERegistry(
        strict_check_header=False,
        algorithms=[
            "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "dir", "RSA1_5", "RSA-OAEP", "A128KW", "A256KW",
            "PBES2-HS256+A128KW", "A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512", "DEF",
        ]
    )  # fmt: skip
    recipient = key or world.library_key(jose.public_jwk(world.OPENING))
    return jwe.encrypt_compact(_header(**changes), body, recipient, registry=registry)


def _sealed_headers() -> Iterator[Refusal]:
    body = json.dumps(PLAINTEXT).encode()
    parts = {
        "key wrap": _raw(body, alg="ECDH-ES+A128KW"),
        "key wrap 256": _raw(body, alg="ECDH-ES+A256KW"),
        "dir": _raw(body, OctKey.import_key(b"k" * 32), alg="dir"),
        "RSA-OAEP": _raw(body, RSAKey.generate_key(2048, auto_kid=False), alg="RSA-OAEP"),
        "CBC": _raw(body, enc="A128CBC-HS256"),
        "CBC 512": _raw(body, enc="A256CBC-HS512"),
        "A128GCM": _raw(body, enc="A128GCM"),
        "PBES2": _spliced(alg="PBES2-HS256+A128KW", p2c=10**9, p2s="AAAA"),
        "EC key": _raw(body, ECKey.generate_key("P-256", auto_kid=False)),
    }
    yield from _signed(
        "J21", {name: {"sealed": part} for name, part in parts.items()}, "open_failed", spends=True
    )
    bomb = _raw(b" " * 200_000 + body, zip="DEF")
    yield from _signed(
        "J22",
        {"zip bomb": {"sealed": bomb}, "zip": {"sealed": _raw(body, zip="DEF")}},
        "open_failed",
        spends=True,
    )
    headers: dict[str, dict[str, Any]] = {
        "kid other": {"kid": "A" * 16},
        "apu": {"apu": "AAAA"},
        "typ": {"typ": "JWE"},
    }
    headers |= {
        "apv other": {"apv": "AAAA"},
        "apv raw": {"apv": world.CID},
        "crit": {"crit": ["cty"], "cty": "JWT"},
        "cty": {"cty": "JWT"},
    }
    whole = {name: {"sealed": _raw(body, **change)} for name, change in headers.items()}
    missing = {
        f"no {name}": {"sealed": _spliced(**{name: None})} for name in ("alg", "enc", "kid", "apv", "epk")
    }
    yield from _signed("J23", {**whole, **missing}, "open_failed", spends=True)


def _spliced(**changes: Any) -> str:
    """A good sealed part with another header."""
    header_text, rest = world.sealed().split(".", 1)
    header = {**json.loads(jose.unb64u(header_text)), **changes}
    kept = {name: value for name, value in header.items() if value is not None}
    return f"{world.encoded(kept)}.{rest}"


def _points() -> Iterator[Refusal]:
    points = (0, 1, P - 1, P, P + 1, 2**255 - 1)
    eights = (
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
    epks: dict[str, Any] = {
        f"point {place}": {"kty": "OKP", "crv": "X25519", "x": jose.b64u(point.to_bytes(32, "little"))}
        for place, point in enumerate((*points, *eights))
    }
    good = jose.public_jwk(world.opening_key(0x55))
    epks |= {"with d": world.opening_key(0x55), "number": 7, "null": [], "text": good["x"], "empty": {}}
    epks |= {
        "P-256": ECKey.generate_key("P-256", auto_kid=False).as_dict(private=False),
        "crv": {**good, "crv": "Ed25519"},
    }
    epks |= {
        "x number": {**good, "x": 5},
        "x short": {**good, "x": "AA"},
        "x padded": {**good, "x": good["x"] + "="},
    }
    yield from _signed(
        "J20",
        {f"epk {name}": {"sealed": _spliced(epk=epk)} for name, epk in epks.items()},
        "open_failed",
        spends=True,
    )


def _ciphertexts() -> Iterator[Refusal]:
    header, _, nonce, text, tag = world.sealed().split(".")
    tag_bytes = jose.unb64u(tag)
    parts = {
        "tag of 4": [header, "", nonce, text, jose.b64u(tag_bytes[:4])],
        "tag of 12": [header, "", nonce, text, jose.b64u(tag_bytes[:12])],
        "no tag": [header, "", nonce, text, ""],
        "nonce of 16": [header, "", jose.b64u(bytes(16)), text, tag],
        "no nonce": [header, "", "", text, tag],
        "other nonce": [header, "", jose.b64u(bytes(12)), text, tag],
        "no ciphertext": [header, "", nonce, "", tag],
        "an encrypted key": [header, "AAAA", nonce, text, tag],
        "padding": [header, "", nonce, text, tag + "=="],
        "six parts": [header, "", nonce, text, tag, ""],
        "four parts": [header, "", nonce, text],
    }
    yield from _signed(
        "J23", {name: {"sealed": ".".join(part)} for name, part in parts.items()}, "open_failed", spends=True
    )
