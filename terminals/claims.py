"""What each message of the terminal protocol contains, and strict readers for it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from terminals.protocol import (
    DEFERRED,
    ENROLL_LIFETIME_MAX,
    INT_MAX,
    KINDS,
    OPERATORS_MAX,
    RC,
    RC_UNREAD,
    RECEIPT_STATUSES,
    RECEIPTS_PER_POST,
    REJECTED,
    TOKEN_LIFETIME_MAX,
    ProtocolError,
)

Claims = Mapping[str, Any]
T = TypeVar("T")

_OPERATOR: Final = r"[0-9]{2}"
_JTI: Final = r"[A-Za-z0-9_-]{8,64}"
_PASSWORD_MAX: Final = 64
_CODE_MAX: Final = 64


def _bad(name: str, wanted: str) -> ProtocolError:
    return ProtocolError("malformed", f"{name}: {wanted} wanted")


def _text(claims: Claims, name: str, *, pattern: str = "", limit: int = 256) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise _bad(name, "text")
    if not value.isprintable():
        raise _bad(name, "text without control characters")
    if pattern and re.fullmatch(pattern, value) is None:
        raise _bad(name, "another form")
    return value


def _int(claims: Claims, name: str, low: int = 0, high: int = INT_MAX) -> int:
    value = claims.get(name)
    if type(value) is not int or not low <= value <= high:
        raise _bad(name, "an integer in range")
    return value


def _flag(claims: Claims, name: str) -> bool:
    value = claims.get(name)
    if type(value) is not bool:
        raise _bad(name, "true or false")
    return value


def _object(claims: Claims, name: str) -> dict[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise _bad(name, "an object")
    return value


def _texts(claims: Claims, name: str, most: int, *, pattern: str = "", limit: int = 64) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise _bad(name, "a short list")
    return tuple(_text({name: item}, name, pattern=pattern, limit=limit) for item in value)


def _optional(claims: Claims, name: str, read: Callable[[], T]) -> T | None:
    return read() if name in claims else None


def _identity(claims: Claims, name: str, prefix: str) -> str:
    return _text(claims, name, pattern=prefix + r"_[A-Za-z0-9_-]{16}", limit=20)


def _bytes(claims: Claims, name: str, length: int) -> bytes:
    text = _text(claims, name, pattern=r"[A-Za-z0-9_-]+", limit=64)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    if len(raw) != length or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise _bad(name, f"{length} bytes")
    return raw


@dataclass(frozen=True, slots=True)
class EnrollClaims:
    """`rekey-enroll+jwt`: a new terminal presents its keys and its pairing code."""

    aud: str
    iat: int
    exp: int
    jti: str
    code: str
    enc: dict[str, Any]
    keypad: str
    cmds: tuple[str, ...]
    vendor: str
    model: str
    serial: str
    fw: str


def parse_enroll(claims: Claims) -> EnrollClaims:
    """Read enrollment claims; the key in `enc` still needs `jose.validate_public_key`."""
    iat = _int(claims, "iat")
    capabilities, hardware = _object(claims, "cap"), _object(claims, "hw")
    return EnrollClaims(
        aud=_text(claims, "aud"),
        iat=iat,
        exp=_int(claims, "exp", iat, iat + ENROLL_LIFETIME_MAX),
        jti=_text(claims, "jti", pattern=_JTI),
        code=_text(claims, "code", limit=_CODE_MAX),
        enc=_object(claims, "enc"),
        keypad=_text(capabilities, "keypad", pattern="digits|full"),
        cmds=_texts(capabilities, "cmds", 32),
        vendor=_text(hardware, "vendor", limit=60),
        model=_text(hardware, "model", limit=60),
        serial=_text(hardware, "serial", limit=32),
        fw=_text(claims, "fw", limit=40),
    )


def parse_confirm(body: Claims) -> str:
    """The base64url nonce (16 bytes) of `POST enroll/confirm`."""
    _bytes(body, "nonce", 16)
    return str(body["nonce"])


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server seals to a new X25519 key: the nonce to return and the offline-unlock key."""

    nonce: str
    offline_key: str


def parse_challenge(plaintext: Claims) -> Challenge:
    """Read an opened enrollment challenge."""
    _bytes(plaintext, "nonce", 16)
    _bytes(plaintext, "offline_key", 32)
    return Challenge(plaintext["nonce"], plaintext["offline_key"])


@dataclass(frozen=True, slots=True)
class AuthClaims:
    """`rekey-auth+jwt`: the self-signed bearer of a terminal."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str


def parse_auth(claims: Claims) -> AuthClaims:
    """Read bearer claims; whether the times are acceptable is for the caller, who knows the time."""
    return AuthClaims(
        iss=_identity(claims, "iss", "trm"),
        aud=_text(claims, "aud"),
        iat=_int(claims, "iat"),
        exp=_int(claims, "exp"),
        jti=_text(claims, "jti", pattern=_JTI),
    )


@dataclass(frozen=True, slots=True)
class CommandClaims:
    """`rekey-cmd+jwt`: one command for one terminal."""

    iss: str
    aud: str
    jkt: str
    iat: int
    exp: int
    jti: str
    cid: str
    seq: int
    cmd: str
    by: str
    op: str | None
    nbf: int | None
    rid: str | None
    sealed: str | None
    apr: tuple[str, ...]
    args: dict[str, Any]
    guard: dict[str, Any]


def parse_command(claims: Claims) -> CommandClaims:
    """Read command claims; an unknown `cmd` is read too, the terminal answers `unsupported_cmd`."""
    iat = _int(claims, "iat")
    return CommandClaims(
        iss=_text(claims, "iss"),
        aud=_identity(claims, "aud", "trm"),
        jkt=_text(claims, "jkt", pattern=r"[A-Za-z0-9_-]{16}"),
        iat=iat,
        exp=_int(claims, "exp", iat, min(iat + TOKEN_LIFETIME_MAX, INT_MAX)),
        jti=_identity(claims, "jti", "tok"),
        cid=_identity(claims, "cid", "cmd"),
        seq=_int(claims, "seq", 1),
        cmd=_text(claims, "cmd", limit=32),
        by=_text(claims, "by", limit=64),
        op=_optional(claims, "op", lambda: _text(claims, "op", pattern=_OPERATOR)),
        nbf=_optional(claims, "nbf", lambda: _int(claims, "nbf")),
        rid=_optional(claims, "rid", lambda: _text(claims, "rid", limit=64)),
        sealed=_optional(claims, "sealed", lambda: _text(claims, "sealed", limit=4096)),
        apr=_optional(claims, "apr", lambda: _texts(claims, "apr", 8)) or (),
        args=_optional(claims, "args", lambda: _object(claims, "args")) or {},
        guard=_optional(claims, "guard", lambda: _object(claims, "guard")) or {},
    )


@dataclass(frozen=True, slots=True)
class SealedPlaintext:
    """The opened part of `set_credential`, bound to the command it came in."""

    cid: str
    aud: str
    op: str
    password: str
    change_at_next_login: bool


def parse_sealed(plaintext: Claims) -> SealedPlaintext:
    """Read an opened sealed part."""
    return SealedPlaintext(
        cid=_identity(plaintext, "cid", "cmd"),
        aud=_identity(plaintext, "aud", "trm"),
        op=_text(plaintext, "op", pattern=_OPERATOR),
        password=_text(plaintext, "password", limit=_PASSWORD_MAX),
        change_at_next_login=_flag(plaintext, "change_at_next_login"),
    )


@dataclass(frozen=True, slots=True)
class ReceiptClaims:
    """`rekey-receipt+jwt`: what a terminal did with a token.

    `sub`, `cid` and `seq` are None only when `rc` is in RC_UNREAD: the terminal could not authenticate the
    token, so the server must find it by `tok`.
    """

    iss: str
    aud: str
    iat: int
    jti: str
    sub: str | None
    cid: str | None
    seq: int | None
    tok: str
    st: str
    rc: str | None
    retry: int | None
    at: int
    hwm: int


def parse_receipt(claims: Claims) -> ReceiptClaims:
    """Read receipt claims: `rejected` and `deferred` have an `rc`, `deferred` a `retry` in seconds."""
    _bytes(claims, "tok", 32)
    st = _text(claims, "st")
    rc = _optional(claims, "rc", lambda: _text(claims, "rc"))
    if st not in RECEIPT_STATUSES or (rc is not None) != (st in {REJECTED, DEFERRED}):
        raise _bad("st", "a status with the reason it needs")
    if rc is not None and (rc not in RC or (rc == "busy") != (st == DEFERRED)):
        raise _bad("rc", "a reason code of this status")
    unread = rc in RC_UNREAD and "sub" not in claims
    return ReceiptClaims(
        iss=_identity(claims, "iss", "trm"),
        aud=_text(claims, "aud"),
        iat=_int(claims, "iat"),
        jti=_identity(claims, "jti", "rcp"),
        sub=None if unread else _identity(claims, "sub", "tok"),
        cid=None if unread else _identity(claims, "cid", "cmd"),
        seq=None if unread else _int(claims, "seq", 1),
        tok=claims["tok"],
        st=st,
        rc=rc,
        retry=_int(claims, "retry", 1, 86_400) if st == DEFERRED else None,
        at=_int(claims, "at"),
        hwm=_int(claims, "hwm"),
    )


def parse_receipt_batch(body: Claims) -> tuple[str, ...]:
    """The 1 to 8 compact tokens of `POST receipts`; each is judged on its own later."""
    receipts = body.get("receipts")
    if not isinstance(receipts, list) or not 1 <= len(receipts) <= RECEIPTS_PER_POST:
        raise _bad("receipts", f"a list of 1 to {RECEIPTS_PER_POST}")
    return tuple(item if isinstance(item, str) else "" for item in receipts)


@dataclass(frozen=True, slots=True)
class IssuerKeyEntry:
    """One signing key in a keyset: what it may sign, and when."""

    jwk: dict[str, Any]
    cmds: tuple[str, ...]
    nbf: int
    exp: int


@dataclass(frozen=True, slots=True)
class KeysetClaims:
    """`rekey-keyset+jwt`: the issuer keys a root vouches for."""

    iss: str
    ver: int
    iat: int
    exp: int
    keys: tuple[IssuerKeyEntry, ...]
    roots: tuple[dict[str, Any], ...]
    revoked: tuple[str, ...]


def parse_keyset(claims: Claims) -> KeysetClaims:
    """Read keyset claims; the keys in it still need `jose.validate_public_key`."""
    keys, roots = claims.get("keys"), claims.get("roots")
    if not isinstance(keys, list) or not isinstance(roots, list) or len(keys) > 16 or not 0 < len(roots) <= 4:
        raise _bad("keys", "short lists of keys and roots")
    return KeysetClaims(
        iss=_text(claims, "iss"),
        ver=_int(claims, "ver", 1, 2**31 - 1),
        iat=_int(claims, "iat"),
        exp=_int(claims, "exp"),
        keys=tuple(_issuer_key({"key": item}) for item in keys),
        roots=tuple(_object({"root": item}, "root") for item in roots),
        revoked=_texts(claims, "revoked", 64, pattern=r"[A-Za-z0-9_-]{16}"),
    )


def _issuer_key(holder: Claims) -> IssuerKeyEntry:
    entry = _object(holder, "key")
    cmds = _texts(entry, "cmds", 32)
    if not KINDS.issuperset(cmds):
        cmds = tuple(cmd for cmd in cmds if cmd in KINDS)
    return IssuerKeyEntry(_object(entry, "jwk"), cmds, _int(entry, "nbf"), _int(entry, "exp"))


@dataclass(frozen=True, slots=True)
class InventoryOperator:
    """One operator as the terminal knows it; never a password."""

    op: str
    role: str
    locked: bool
    age_days: int | None
    tries_left: int
    weak: str | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """`PUT inventory`: operators and condition of the machine."""

    operators: tuple[InventoryOperator, ...]
    fw: str
    battery: int | None
    unsettled_batch: bool | None


def parse_inventory(body: Claims) -> Inventory:
    """Read `{"inventory": {...}}`."""
    inventory = _object(body, "inventory")
    operators = inventory.get("operators")
    if not isinstance(operators, list) or len(operators) > OPERATORS_MAX:
        raise _bad("operators", f"a list of at most {OPERATORS_MAX}")
    read = tuple(_inventory_operator({"operator": item}) for item in operators)
    if len({operator.op for operator in read}) != len(read):
        raise _bad("operators", "each number once")
    return Inventory(
        operators=read,
        fw=_text(inventory, "fw", limit=40),
        battery=_optional(inventory, "battery", lambda: _int(inventory, "battery", 0, 100)),
        unsettled_batch=_optional(inventory, "unsettled_batch", lambda: _flag(inventory, "unsettled_batch")),
    )


def _inventory_operator(holder: Claims) -> InventoryOperator:
    entry = _object(holder, "operator")
    return InventoryOperator(
        op=_text(entry, "op", pattern=_OPERATOR),
        role=_text(entry, "role", pattern="ordinary|supervisor|maintenance"),
        locked=_flag(entry, "locked"),
        age_days=_optional(entry, "age_days", lambda: _int(entry, "age_days", 0, 36_500)),
        tries_left=_int(entry, "tries_left", 0, 99),
        weak=_optional(entry, "weak", lambda: _text(entry, "weak", pattern="default|common|shared")),
    )
