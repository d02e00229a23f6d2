"""Sealed parts made by hand and always the same: fixed ephemeral key, fixed nonce, any header at all."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from docs.wire_examples import opening_key
from terminals import jose

EPHEMERAL: Final = opening_key(0x55)
NONCE: Final = bytes(12)
# Bytes of key that each content encryption takes.
SIZES: Final[Mapping[str, int]] = {"A128GCM": 16, "A256GCM": 32, "A128CBC-HS256": 32, "A256CBC-HS512": 64}
WRAPS: Final[Mapping[str, int]] = {"ECDH-ES+A128KW": 16, "ECDH-ES+A256KW": 32}
Jwk = Mapping[str, str]


def derived(algorithm: str, size: int, apv: bytes, recipient: Jwk, apu: bytes = b"") -> bytes:
    """The key of RFC 7518 §4.6.2 between the fixed ephemeral key and the recipient."""
    private = X25519PrivateKey.from_private_bytes(jose.unb64u(EPHEMERAL["d"]))
    shared = private.exchange(X25519PublicKey.from_public_bytes(jose.unb64u(recipient["x"])))
    parts = (algorithm.encode(), apu, apv)
    info = b"".join(struct.pack(">I", len(part)) + part for part in parts) + struct.pack(">I", size * 8)
    return ConcatKDFHash(algorithm=SHA256(), length=size, otherinfo=info).derive(shared)


def seal(body: bytes, recipient: Jwk, bound_to: str, **changes: Any) -> str:
    """A compact JWE for this key; `changes` to the header are obeyed where that is possible."""
    header: dict[str, Any] = {
        "alg": "ECDH-ES", "enc": "A256GCM", "kid": jose.kid16(recipient), "apv": jose.b64u(bound_to.encode()),
        "epk": jose.public_jwk(EPHEMERAL),
    }  # fmt: skip
    header = {name: value for name, value in {**header, **changes}.items() if value is not None}
    text = jose.b64u(json.dumps(header, separators=(",", ":")).encode())
    party = jose.unb64u(header.get("apv", "")), jose.unb64u(header.get("apu", ""))
    content_key, wrapped = _keys(header["alg"], header["enc"], party, recipient)
    if header.get("zip") == "DEF":
        body = _deflated(body)
    nonce, ciphertext, tag = _encrypted(header["enc"], content_key, body, text.encode())
    return ".".join((text, *(jose.b64u(part) for part in (wrapped, nonce, ciphertext, tag))))


def _keys(alg: str, enc: str, party: tuple[bytes, bytes], recipient: Jwk) -> tuple[bytes, bytes]:
    size = SIZES.get(enc, 32)
    if alg in WRAPS:
        key = bytes(range(size))
        return key, aes_key_wrap(derived(alg, WRAPS[alg], party[0], recipient, party[1]), key)
    if alg.startswith("RSA"):
        return bytes(range(size)), hashlib.sha256(b"no RSA key").digest() * 8
    if alg == "dir":
        return b"k" * size, b""
    return derived(enc, size, party[0], recipient, party[1]), b""


def _encrypted(enc: str, key: bytes, body: bytes, header: bytes) -> tuple[bytes, bytes, bytes]:
    if "GCM" in enc:
        sealed = AESGCM(key).encrypt(NONCE, body, header)
        return NONCE, sealed[:-16], sealed[-16:]
    half, nonce = len(key) // 2, bytes(16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key[half:]), modes.CBC(nonce)).encryptor()
    ciphertext = encryptor.update(padder.update(body) + padder.finalize()) + encryptor.finalize()
    mac = hmac.new(
        key[:half], header + nonce + ciphertext + struct.pack(">Q", len(header) * 8), f"sha{half * 16}"
    )
    return nonce, ciphertext, mac.digest()[:half]


def _deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()
