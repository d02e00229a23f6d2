"""The only place that signs, verifies, seals and opens: Ed25519 JWS and ECDH-ES + A256GCM JWE, compact.

Every token from outside fails as `JoseError` with one of four codes and as nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc import jwe
from joserfc.errors import JoseError as LibraryError
from joserfc.jwk import OKPKey
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from terminals.protocol import ENROLL_MAX, KEYSET_MAX, TOKEN_MAX, ProtocolError, strict_json

Jwk = Mapping[str, Any]

SIGN: Final = "Ed25519"
SEAL: Final = "X25519"

MALFORMED: Final = "malformed"
UNKNOWN_KEY: Final = "unknown_key"
BAD_SIGNATURE: Final = "bad_signature"
OPEN_FAILED: Final = "open_failed"

ISSUER_ALGS: Final = ("Ed25519",)
TERMINAL_ALGS: Final = ("Ed25519", "EdDSA")

_SEALED_HEADER: Final = frozenset({"alg", "enc", "kid", "epk", "apv"})
_HEADER_MAX: Final = 512
# Whatever base64 knows and base64url does not becomes what neither knows.
_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/***")
# The characters that can end a text of two or three more than a multiple of four: no bits are left over.
_LAST_OF: Final = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


class JoseError(Exception):
    """A token or key that is refused: `code` is malformed, unknown_key, bad_signature or open_failed."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


# --- base64url --------------------------------------------------------------------------------------------


def b64u(raw: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def unb64u(text: str | bytes) -> bytes:
    """Decode canonical base64url; JoseError `malformed` for padding, other alphabets and stray last bits."""
    try:
        given = text.encode("ascii") if isinstance(text, str) else text
        left = len(given) % 4
        raw = binascii.a2b_base64(given.translate(_TO_BASE64) + b"=" * (-left % 4), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise JoseError(MALFORMED, "base64url") from None
    if left and given[-1] not in _LAST_OF[left]:
        raise JoseError(MALFORMED, "base64url is not canonical")
    return raw


# --- keys -------------------------------------------------------------------------------------------------


def generate_key(crv: str) -> dict[str, str]:
    """A new private JWK on `SIGN` (Ed25519) or `SEAL` (X25519)."""
    if crv == SIGN:
        signing = Ed25519PrivateKey.generate()
        public, private = signing.public_key().public_bytes_raw(), signing.private_bytes_raw()
    elif crv == SEAL:
        opening = X25519PrivateKey.generate()
        public, private = opening.public_key().public_bytes_raw(), opening.private_bytes_raw()
    else:
        raise ValueError(f"unknown curve {crv!r}")
    return {"kty": "OKP", "crv": crv, "x": b64u(public), "d": b64u(private)}


def public_jwk(jwk: Jwk) -> dict[str, str]:
    """The public members of a key, and nothing else."""
    return {"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"]}


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638 SHA-256 thumbprint, base64url (43 characters)."""
    canonical = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}"}}'
    return b64u(hashlib.sha256(canonical.encode()).digest())


def kid16(jwk: Jwk) -> str:
    """The `kid` or `jkt` of a key: the first 16 characters of its thumbprint."""
    return thumbprint(jwk)[:16]


def digest(token: str) -> str:
    """base64url SHA-256 of a compact token, the `tok` of receipts."""
    return b64u(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())


def validate_public_key(jwk: object, crv: str) -> dict[str, str]:
    """Return the key if it is exactly {kty, crv, x}, canonical, on the curve and not of small order.

    OpenSSL verifies one and the same signature for every message under a small-order Ed25519 key, so such
    keys must never be registered. Raises JoseError `malformed`.
    """
    if not isinstance(jwk, Mapping) or set(jwk) != {"kty", "crv", "x"}:
        raise JoseError(MALFORMED, "key: exactly kty, crv and x wanted")
    if jwk["kty"] != "OKP" or jwk["crv"] != crv or not isinstance(jwk["x"], str) or len(jwk["x"]) != 43:
        raise JoseError(MALFORMED, f"key: OKP {crv} wanted")
    raw = unb64u(jwk["x"])
    sound = _sound_ed25519(raw) if crv == SIGN else _sound_x25519(raw)
    if not sound:
        raise JoseError(MALFORMED, "key: not a sound point")
    return public_jwk(jwk)


def _sound_ed25519(raw: bytes) -> bool:
    y, sign = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
    if y >= _P:
        return False
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(x_squared, (_P - 1) // 2, _P) not in (0, 1) or (x_squared == 0 and sign):
        return False
    # Doubling three times gives 8·A; only y is needed, the identity is (0, 1) and the only point with y = 1.
    for _ in range(3):
        product = _D * x_squared * y * y % _P
        y = (y * y + x_squared) * pow(1 - product, -1, _P) % _P
        x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return y != 1


def _sound_x25519(raw: bytes) -> bool:
    if int.from_bytes(raw, "little") >= _P:
        return False
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(raw))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _verifier(x: str) -> VerifyKey:
    # A poll by a new bearer costs this check and little else; libsodium needs half of OpenSSL's time for it.
    return VerifyKey(unb64u(x))


# --- JWS --------------------------------------------------------------------------------------------------


def sign(claims: Mapping[str, Any], typ: str, key: Jwk, *, embed_jwk: bool = False) -> str:
    """A compact JWS by a private Ed25519 JWK, its header {alg, typ, kid} or {alg, typ, jwk}."""
    if embed_jwk:
        begun = _segment({"alg": "Ed25519", "typ": typ, "jwk": public_jwk(key)}) + "."
    else:
        begun = beginning(typ, _name_of(key["x"]))
    signed = begun + _segment(claims)
    return f"{signed}.{b64u(_signer(key['d']).sign(signed.encode('ascii')).signature)}"


@lru_cache(maxsize=16)
def _signer(d: str) -> SigningKey:
    # Half the price of a signature is to derive the public key, which is the same each time.
    return SigningKey(unb64u(d))


@lru_cache(maxsize=16)
def _name_of(x: str) -> str:
    return kid16({"kty": "OKP", "crv": SIGN, "x": x})


@lru_cache(maxsize=64)
def beginning(typ: str, kid: str) -> str:
    """How every token begins that `sign` makes of this type by this key: its header and the dot after it."""
    return _segment({"alg": "Ed25519", "typ": typ, "kid": kid}) + "."


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _segment(members: Mapping[str, Any]) -> str:
    return b64u(_compact(members).encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token with a sound form; it tells which key it names, and its claims only to who has that key."""

    kid: str
    _signed: bytes
    _payload: bytes
    _signature: bytes

    def claims(self, jwk: Jwk) -> dict[str, Any]:
        """Verify under this key, then read; JoseError `bad_signature` or `malformed`."""
        try:
            _verifier(jwk["x"]).verify(self._signed, self._signature)
        except (BadSignatureError, ValueError):  # the latter: not 64 bytes
            raise JoseError(BAD_SIGNATURE) from None
        return _strict(self._payload)


def read(
    token: str | bytes, typ: str, *, max_size: int = TOKEN_MAX, algs: Collection[str] = ISSUER_ALGS
) -> Unverified:
    """Check size, form and header of a compact JWS; JoseError `malformed`. Nothing is verified yet."""
    header, signed, payload, signature = _split(token, max_size)
    kid = header.get("kid")
    if set(header) != {"alg", "typ", "kid"} or not isinstance(kid, str) or not _right_form(header, typ, algs):
        raise JoseError(MALFORMED, "header")
    return Unverified(kid, signed, payload, signature)


def verify(
    token: str | bytes,
    typ: str,
    keys: Mapping[str, Jwk],
    max_size: int = TOKEN_MAX,
    algs: Collection[str] = ISSUER_ALGS,
) -> dict[str, Any]:
    """The claims of a compact JWS signed by one of `keys` (kid → public JWK that passed validation)."""
    unverified = read(token, typ, max_size=max_size, algs=algs)
    jwk = keys.get(unverified.kid)
    if jwk is None:
        raise JoseError(UNKNOWN_KEY)
    return unverified.claims(jwk)


def verify_embedded(
    token: str | bytes, typ: str, max_size: int = ENROLL_MAX, algs: Collection[str] = TERMINAL_ALGS
) -> tuple[dict[str, Any], dict[str, str]]:
    """Claims and key of a JWS signed by the key in its own header (enrollment, key roll).

    It proves possession of a sound key, not whose key it is.
    """
    header, signed, payload, signature = _split(token, max_size)
    if set(header) != {"alg", "typ", "jwk"} or not _right_form(header, typ, algs):
        raise JoseError(MALFORMED, "header")
    jwk = validate_public_key(header["jwk"], SIGN)
    return Unverified(kid16(jwk), signed, payload, signature).claims(jwk), jwk


def verify_self_vouched(token: str | bytes, typ: str, member: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Claims and key of a JWS signed by a key listed in its own `member` (the first keyset and its roots).

    It proves that the token is whole, not whose it is: the caller compares the key's thumbprint.
    """
    unverified = read(token, typ, max_size=KEYSET_MAX)
    listed = _strict(unverified._payload).get(member)
    for jwk in listed[:4] if isinstance(listed, list) else ():
        key = validate_public_key(jwk, SIGN)
        if kid16(key) == unverified.kid:
            return unverified.claims(key), key
    raise JoseError(UNKNOWN_KEY)


def _right_form(header: Mapping[str, Any], typ: str, algs: Collection[str]) -> bool:
    return isinstance(header["alg"], str) and header["alg"] in algs and header["typ"] == typ


def _split(token: str | bytes, max_size: int) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    if len(token) > max_size:
        raise JoseError(MALFORMED, "size")
    compact = _ascii(token)
    if compact.count(b".") != 2:
        raise JoseError(MALFORMED, "compact form")
    signed, _, signature_text = compact.rpartition(b".")
    header_text, _, payload_text = signed.partition(b".")
    payload = unb64u(payload_text)
    signature = unb64u(signature_text)
    if len(header_text) > _HEADER_MAX or len(signature) not in (0, 64):
        raise JoseError(MALFORMED, "length")
    return _strict(unb64u(header_text)), signed, payload, signature


def _ascii(token: str | bytes) -> bytes:
    try:
        return token.encode("ascii") if isinstance(token, str) else token
    except UnicodeEncodeError:
        raise JoseError(MALFORMED, "not ASCII") from None


def _strict(raw: bytes) -> dict[str, Any]:
    try:
        return strict_json(raw)
    except ProtocolError as error:
        raise JoseError(MALFORMED, error.detail) from None


# --- JWE --------------------------------------------------------------------------------------------------

_ONE_SUITE: Final = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"])


def seal(plaintext: Mapping[str, Any], recipient: Jwk, apv: str) -> str:
    """A compact JWE to a public X25519 JWK, bound to `apv` (the text; it travels as base64url)."""
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid16(recipient), "apv": b64u(apv.encode())}
    body = json.dumps(plaintext, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    key = OKPKey.import_key(X25519PublicKey.from_public_bytes(unb64u(recipient["x"])))
    return jwe.encrypt_compact(header, body, key, registry=_ONE_SUITE)


def open_sealed(sealed: str | bytes, private: Jwk, apv: str) -> dict[str, Any]:
    """Open a JWE made by `seal` for this key and this `apv`; JoseError `open_failed` for everything else."""
    try:
        _check_sealed(_ascii(sealed), private, apv)
        key = X25519PrivateKey.from_private_bytes(unb64u(private["d"]))
        opened = jwe.decrypt_compact(sealed, OKPKey.import_key(key), registry=_ONE_SUITE)
        return _strict(opened.plaintext or b"")
    except (JoseError, LibraryError, InvalidTag, ValueError):
        raise JoseError(OPEN_FAILED) from None


def _check_sealed(compact: bytes, private: Jwk, apv: str) -> None:
    if len(compact) > TOKEN_MAX or compact.count(b".") != 4:
        raise JoseError(OPEN_FAILED, "compact form")
    header_text, encrypted_key, nonce, ciphertext, tag = compact.split(b".")
    unb64u(ciphertext)
    if encrypted_key or len(unb64u(nonce)) != 12 or len(unb64u(tag)) != 16:
        raise JoseError(OPEN_FAILED, "lengths")
    header = _strict(unb64u(header_text))
    if set(header) != _SEALED_HEADER or (header["alg"], header["enc"]) != ("ECDH-ES", "A256GCM"):
        raise JoseError(OPEN_FAILED, "header")
    if header["kid"] != kid16(private) or header["apv"] != b64u(apv.encode()):
        raise JoseError(OPEN_FAILED, "bound elsewhere")
    validate_public_key(header["epk"], SEAL)
