"""Forged and broken tokens a parser could be offered, each with the code it must be refused with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from terminals import jose
from tests.vectors.world import BEARER, COMMAND, RECEIPT, STRANGER, Kind, encoded, forge, sealed

L = 2**252 + 27742317777372353535851937790883648493
MALFORMED, UNKNOWN, SIGNATURE = "malformed", "unknown_key", "bad_signature"


class Forgery(NamedTuple):
    """One token and the one code it may be refused with."""

    group: str
    name: str
    token: str
    code: str


def forgeries(kind: Kind) -> Iterator[Forgery]:
    """Everything about form, header, key and signature, for one kind of token."""
    for group in (
        _algorithms, _macs, _embedded_keys, _kids, _critical, _signatures, _encodings, _json, _types,
        _shapes, _sizes,
    ):  # fmt: skip
        yield from group(kind)


def _headers(kind: Kind, group: str, variants: dict[str, Any], code: str = MALFORMED) -> Iterator[Forgery]:
    """A properly signed token for each variant of the header; None removes a member."""
    for name, change in variants.items():
        header = {key: value for key, value in {**kind.header, **change}.items() if value is not None}
        yield Forgery(group, name, forge(header, kind.claims, kind.key), code)


def _algorithms(kind: Kind) -> Iterator[Forgery]:
    wrong: list[Any] = ["none", "None", "nOnE", "", [], ["Ed25519"], 5, True, {"a": 1}, "ed25519", "Ed25519 "]
    for alg in wrong:
        header = encoded({**kind.header, "alg": alg})
        yield Forgery("J01", f"alg {alg!r} unsigned", f"{header}.{encoded(kind.claims)}.", MALFORMED)
        yield Forgery(
            "J01", f"alg {alg!r}", forge({**kind.header, "alg": alg}, kind.claims, kind.key), MALFORMED
        )
    yield from _headers(kind, "J01", {"alg absent": {"alg": None}})
    null = json.dumps({**kind.header, "alg": None}).encode()
    yield Forgery("J01", "alg null", forge(null, kind.claims, kind.key), MALFORMED)
    others = ["ES256", "Ed448", "RS256", "PS512"] + (["EdDSA"] if kind is COMMAND else [])
    yield from _headers(kind, "J03", {f"alg {alg}": {"alg": alg} for alg in others})


def _macs(kind: Kind) -> Iterator[Forgery]:
    raw = jose.unb64u(kind.key["x"])
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    jwk = json.dumps(jose.public_jwk(kind.key)).encode()
    for name, secret in {"raw": raw, "PEM": pem, "JWK": jwk, "empty": b""}.items():
        signed = f"{encoded({**kind.header, 'alg': 'HS256'})}.{encoded(kind.claims)}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        yield Forgery(
            "J02", f"HS256 keyed by the public key as {name}", f"{signed}.{jose.b64u(mac)}", MALFORMED
        )


def _embedded_keys(kind: Kind) -> Iterator[Forgery]:
    attacker = jose.public_jwk(STRANGER)
    changes: dict[str, dict[str, Any]] = {
        "jwk beside kid": {"jwk": attacker},
        "jwk for kid": {"jwk": attacker, "kid": None},
        "jku": {"jku": "http://127.0.0.1:1/keys"},
        "x5u": {"x5u": "http://169.254.169.254/latest/meta-data"},
        "x5c": {"x5c": ["MIIB"]},
        "x5t": {"x5t": "AAAA"},
        "cty": {"cty": "JWT"},
        "nonce": {"nonce": "1"},
    }
    for name, change in changes.items():
        header = {key: value for key, value in {**kind.header, **change}.items() if value is not None}
        yield Forgery("J04", name, forge(header, kind.claims, STRANGER), MALFORMED)
        yield Forgery("J04", f"{name}, right signature", forge(header, kind.claims, kind.key), MALFORMED)


def _kids(kind: Kind) -> Iterator[Forgery]:
    readable = {
        "stranger": jose.kid16(STRANGER),
        "empty": "",
        "path": "../../etc/passwd",
        "SQL": "' OR 1=1--",
    }
    readable |= {"NUL": "a\0b", "right to left": "\u202eabc", "longer": jose.thumbprint(kind.key)}
    yield from _headers(kind, "J05", {f"kid {name}": {"kid": kid} for name, kid in readable.items()}, UNKNOWN)
    shapes: dict[str, Any] = {
        "10 kB": "k" * 10_240,
        "array": [jose.kid16(kind.key)],
        "number": 7,
        "object": {},
    }
    yield from _headers(kind, "J05", {f"kid {name}": {"kid": kid} for name, kid in shapes.items()})
    yield from _headers(kind, "J05", {"kid absent": {"kid": None}})


def _critical(kind: Kind) -> Iterator[Forgery]:
    crits: dict[str, Any] = {"unknown": ["exp"], "empty": [], "alg": ["alg"], "text": "b64"}
    yield from _headers(kind, "J06", {f"crit {name}": {"crit": crit} for name, crit in crits.items()})
    yield from _headers(
        kind, "J06", {"b64 false": {"b64": False, "crit": ["b64"]}, "b64 alone": {"b64": True}}
    )
    yield from _headers(kind, "J06", {"zip": {"zip": "DEF"}})
    header = encoded({**kind.header, "b64": False, "crit": ["b64"]})
    raw = json.dumps(kind.claims)
    yield Forgery("J06", "b64 false, raw payload", f"{header}.{raw}.{kind.good().split('.')[2]}", MALFORMED)


def _signatures(kind: Kind) -> Iterator[Forgery]:
    header, payload, signature = kind.good().split(".")
    raw = bytearray(jose.unb64u(payload))
    raw[-2] ^= 1
    other = jose.sign({**kind.claims, "more": 1}, kind.typ, kind.key).split(".")[2]
    reordered = encoded(dict(reversed(kind.header.items())))
    stolen = forge(kind.header, kind.claims, STRANGER)
    big = int.from_bytes(jose.unb64u(signature)[32:], "little") + L
    malleated = jose.b64u(jose.unb64u(signature)[:32] + big.to_bytes(32, "little"))
    zeros = jose.b64u(bytes(64))
    yield Forgery("J07", "payload bit flipped", f"{header}.{jose.b64u(bytes(raw))}.{signature}", SIGNATURE)
    yield Forgery("J07", "header re-ordered", f"{reordered}.{payload}.{signature}", SIGNATURE)
    yield Forgery("J07", "signature of another token", f"{header}.{payload}.{other}", SIGNATURE)
    yield Forgery("J07", "empty signature", f"{header}.{payload}.", SIGNATURE)
    yield Forgery("J07", "signature of zeros", f"{header}.{payload}.{zeros}", SIGNATURE)
    yield Forgery("J07", "another key under this kid", stolen, SIGNATURE)
    yield Forgery(
        "J07", "63 bytes", f"{header}.{payload}.{jose.b64u(jose.unb64u(signature)[:63])}", MALFORMED
    )
    yield Forgery("J08", "S + L", f"{header}.{payload}.{malleated}", SIGNATURE)
    last = {"A": "B", "Q": "R", "g": "h", "w": "x"}[signature[-1]]
    yield Forgery("J08", "stray last bits", f"{header}.{payload}.{signature[:-1]}{last}", MALFORMED)


def _encodings(kind: Kind) -> Iterator[Forgery]:
    good = kind.good()
    header, payload, signature = good.split(".")
    standard = base64.b64encode(b"\xfb\xff" * 24).decode()
    yield Forgery("J09", "padding at the end", good + "==", MALFORMED)
    yield Forgery("J09", "padding in the header", f"{header}=.{payload}.{signature}", MALFORMED)
    yield Forgery("J09", "standard alphabet", f"{header}.{standard}.{signature}", MALFORMED)
    for name, tail in {"newline": "\n", "space": " ", "NUL": "\0", "é": "é", "full width": "\uff21"}.items():
        yield Forgery("J09", f"{name} at the end", good + tail, MALFORMED)
        yield Forgery("J09", f"{name} at the start", tail + good, MALFORMED)
    yield Forgery("J09", "newline inside", f"{header}.{payload[:8]}\n{payload[8:]}.{signature}", MALFORMED)


def _json(kind: Kind) -> Iterator[Forgery]:
    text = json.dumps(kind.claims)
    deep = b'{"a":' * 5 + b"1" + b"}" * 5
    payloads = {
        "duplicate iat": text[:-1].encode() + b',"iat":1}',
        "NaN": b'{"iat":NaN,' + text[1:].encode(),
        "Infinity": b'{"more":-Infinity,' + text[1:].encode(),
        "1e400": b'{"more":1e400,' + text[1:].encode(),
        "float": b'{"more":1.0,' + text[1:].encode(),
        "-0": b'{"more":-0,' + text[1:].encode(),
        "2^53": b'{"more":9007199254740992,' + text[1:].encode(),
        "huge integer": b'{"more":' + b"9" * 300 + b"," + text[1:].encode(),
        "byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "trailing bytes": text.encode() + b"x",
        "two values": text.encode() + b"{}",
        "lone surrogate": b'{"more":"\\ud800",' + text[1:].encode(),
        "invalid UTF-8": b'{"more":"\xff",' + text[1:].encode(),
        "control character": b'{"more":"\x01",' + text[1:].encode(),
        "five deep": b'{"more":' + deep + b"," + text[1:].encode(),
        "array": b"[1]",
        "text": b'"a"',
        "null": b"null",
        "empty": b"",
        "UTF-16": '{"a":1}'.encode("utf-16"),
    }
    for name, payload in payloads.items():
        yield Forgery("J11", name, forge(kind.header, payload, kind.key), MALFORMED)
    header = json.dumps(kind.header)
    for name, raw in {
        "duplicate alg": header[:-1] + ',"alg":"Ed25519"}',
        "trailing bytes": header + "x",
        "array": "[]",
        "text": '"Ed25519"',
        "empty": "",
    }.items():
        yield Forgery("J11", f"header {name}", forge(raw.encode(), kind.claims, kind.key), MALFORMED)


def _types(kind: Kind) -> Iterator[Forgery]:
    others = [other.typ for other in (COMMAND, RECEIPT, BEARER) if other is not kind]
    others += ["rekey-keyset+jwt", "rekey-enroll+jwt", "JWT", "", kind.typ.upper(), f"application/{kind.typ}"]
    wrong: list[Any] = [*others, 1, [kind.typ]]
    yield from _headers(kind, "J17", {f"typ {typ!r}": {"typ": typ} for typ in wrong})
    yield from _headers(kind, "J17", {"typ absent": {"typ": None}})
    for other in (COMMAND, RECEIPT, BEARER):
        if other is not kind:
            yield Forgery("J17", f"a good {other.name}", other.good(), MALFORMED)


def _shapes(kind: Kind) -> Iterator[Forgery]:
    header, payload, signature = kind.good().split(".")
    entry = {"protected": header, "signature": signature}
    shadow = {**entry, "header": {"alg": "none"}}
    yield Forgery("J18", "bare JWE", sealed(), MALFORMED)
    yield Forgery(
        "J18", "a token in a token", forge(kind.header, encoded(kind.good()).encode(), kind.key), MALFORMED
    )
    yield Forgery("J25", "flattened JSON", json.dumps({"payload": payload, **entry}), MALFORMED)
    yield Forgery(
        "J25", "general JSON", json.dumps({"payload": payload, "signatures": [entry, entry]}), MALFORMED
    )
    yield Forgery(
        "J25", "shadowing header", json.dumps({"payload": payload, "signatures": [shadow]}), MALFORMED
    )
    parts = {
        "one part": header,
        "two parts": f"{header}.{payload}",
        "four parts": f"{kind.good()}.{signature}",
    }
    parts |= {
        "nothing": "",
        "dots": "..",
        "no header": f".{payload}.{signature}",
        "no payload": f"{header}..{signature}",
    }
    for name, token in parts.items():
        yield Forgery("J25", name, token, SIGNATURE if name == "no payload" else MALFORMED)


def _sizes(kind: Kind) -> Iterator[Forgery]:
    room = kind.max_size
    yield Forgery("J30", "one byte too many", (kind.good() + "A" * room)[: room + 1], MALFORMED)
    yield Forgery(
        "J30",
        "a signed token too large",
        forge(kind.header, {**kind.claims, "x": "y" * room}, kind.key),
        MALFORMED,
    )
    yield Forgery("J30", "a million dots", "." * 1_000_000, MALFORMED)
    yield Forgery("J30", "deep payload", forge(kind.header, b"[" * 100_000, kind.key), MALFORMED)
    yield Forgery(
        "J30", "deep payload that fits", forge(kind.header, b"[" * (room // 2), kind.key), MALFORMED
    )
    yield Forgery("J30", "deep header", forge(b'{"a":' * 60, kind.claims, kind.key), MALFORMED)
    yield Forgery(
        "J30",
        "kid of a megabyte",
        forge({**kind.header, "kid": "k" * 1_000_000}, kind.claims, kind.key),
        MALFORMED,
    )
