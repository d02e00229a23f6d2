"""Sealed parts that must not open, whatever the command around them says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from terminals import jose
from tests.vectors import sealing, world
from tests.vectors.world import CID, OPENING, compact

PLAINTEXT = {"cid": CID, "aud": world.TID, "op": "03", "password": "482917", "change_at_next_login": False}
OTHER = "cmd_" + "D" * 16
P = 2**255 - 19
# Points of X25519 whose order is 1, 2, 4 or 8, and encodings that are not canonical.
POINTS = (
    0, 1, P - 1, P, P + 1, 2**255 - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)  # fmt: skip


class Part(NamedTuple):
    """A sealed part that gives `open_failed` at the terminal of the fixed world."""

    group: str
    name: str
    sealed: str


def parts() -> Iterator[Part]:
    """All of them."""
    for group in (_algorithms, _bombs, _moved, _plaintexts, _headers, _points, _ciphertexts):
        yield from group()


def to(key: dict[str, str], **changes: Any) -> str:
    """The plaintext with changes, sealed to a key; None removes a member."""
    plaintext = {name: value for name, value in {**PLAINTEXT, **changes}.items() if value is not None}
    return sealing.seal(compact(plaintext), key, CID)


def spliced(**changes: Any) -> str:
    """A good sealed part with another header."""
    header_text, rest = world.sealed().split(".", 1)
    header = {**json.loads(jose.unb64u(header_text)), **changes}
    kept = {name: value for name, value in header.items() if value is not None}
    return f"{world.encoded(kept)}.{rest}"


def ec_key() -> dict[str, str]:
    """A P-256 key from a fixed secret."""
    numbers = ec.derive_private_key(0x55, ec.SECP256R1()).public_key().public_numbers()
    x, y = (jose.b64u(part.to_bytes(32, "big")) for part in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _named(group: str, parts: dict[str, str]) -> Iterator[Part]:
    for name, part in parts.items():
        yield Part(group, name, part)


def _raw(body: bytes = b"", **changes: Any) -> str:
    return sealing.seal(body or compact(PLAINTEXT), OPENING, CID, **changes)


def _algorithms() -> Iterator[Part]:
    yield from _named(
        "J21",
        {
            "key wrap": _raw(alg="ECDH-ES+A128KW"),
            "key wrap 256": _raw(alg="ECDH-ES+A256KW"),
            "dir": _raw(alg="dir"),
            "RSA1_5": _raw(alg="RSA1_5"),
            "RSA-OAEP": _raw(alg="RSA-OAEP"),
            "CBC": _raw(enc="A128CBC-HS256"),
            "CBC 512": _raw(enc="A256CBC-HS512"),
            "A128GCM": _raw(enc="A128GCM"),
            "PBES2": spliced(alg="PBES2-HS256+A128KW", p2c=10**9, p2s="AAAA"),
            "EC key": spliced(epk=ec_key()),
        },
    )


def _bombs() -> Iterator[Part]:
    bomb = _raw(b" " * 200_000 + compact(PLAINTEXT), zip="DEF")
    yield from _named("J22", {"zip bomb": bomb, "zip": _raw(zip="DEF")})


def _moved() -> Iterator[Part]:
    yield from _named(
        "J23",
        {
            "moved from another command": world.sealed(OTHER),
            "for another key": to(world.opening_key(0x34)),
            "a JWS for a JWE": world.COMMAND.good(),
            "empty": "a",
            "cut short": world.sealed(password="p" * 60)[:-4],
            "the plaintext itself": json.dumps(PLAINTEXT),
        },
    )


def _plaintexts() -> Iterator[Part]:
    yield from _named(
        "J23",
        {
            "no password": to(OPENING, password=None),
            "password number": to(OPENING, password=482917),
            "password of 65": to(OPENING, password="p" * 65),
            "change 1": to(OPENING, change_at_next_login=1),
            "operator of three digits": to(OPENING, op="003"),
            "not an object": _raw(b"[1]"),
            "duplicate member": _raw(compact(PLAINTEXT)[:-1] + b',"op":"03"}'),
        },
    )


def _headers() -> Iterator[Part]:
    headers: dict[str, dict[str, Any]] = {
        "kid other": {"kid": "A" * 16},
        "apu": {"apu": "AAAA"},
        "typ": {"typ": "JWE"},
        "apv other": {"apv": "AAAA"},
        "apv raw": {"apv": CID},
        "crit": {"crit": ["cty"], "cty": "JWT"},
        "cty": {"cty": "JWT"},
    }
    yield from _named("J23", {name: _raw(**change) for name, change in headers.items()})
    missing = {f"no {name}": spliced(**{name: None}) for name in ("alg", "enc", "kid", "apv", "epk")}
    yield from _named("J23", missing)


def _points() -> Iterator[Part]:
    epks: dict[str, Any] = {
        f"point {place}": {"kty": "OKP", "crv": "X25519", "x": jose.b64u(point.to_bytes(32, "little"))}
        for place, point in enumerate(POINTS)
    }
    good = jose.public_jwk(sealing.EPHEMERAL)
    epks |= {"with d": sealing.EPHEMERAL, "number": 7, "null": [], "text": good["x"], "empty": {}}
    epks |= {"P-256": ec_key(), "crv": {**good, "crv": "Ed25519"}}
    epks |= {
        "x number": {**good, "x": 5},
        "x short": {**good, "x": "AA"},
        "x padded": {**good, "x": good["x"] + "="},
    }
    yield from _named("J20", {f"epk {name}": spliced(epk=epk) for name, epk in epks.items()})


def _ciphertexts() -> Iterator[Part]:
    header, _, nonce, text, tag = world.sealed().split(".")
    tag_bytes = jose.unb64u(tag)
    pieces = {
        "tag of 4": [header, "", nonce, text, jose.b64u(tag_bytes[:4])],
        "tag of 12": [header, "", nonce, text, jose.b64u(tag_bytes[:12])],
        "no tag": [header, "", nonce, text, ""],
        "nonce of 16": [header, "", jose.b64u(bytes(16)), text, tag],
        "no nonce": [header, "", "", text, tag],
        "other nonce": [header, "", jose.b64u(b"\1" * 12), text, tag],
        "no ciphertext": [header, "", nonce, "", tag],
        "an encrypted key": [header, "AAAA", nonce, text, tag],
        "padding": [header, "", nonce, text, tag + "=="],
        "six parts": [header, "", nonce, text, tag, ""],
        "four parts": [header, "", nonce, text],
    }
    yield from _named("J23", {name: ".".join(part) for name, part in pieces.items()})
