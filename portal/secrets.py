"""Keyed digests with the pepper, sealing of columns with the field key, and masks for what people may see."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION = "v1."
NONCE_BYTES = 12


class Unreadable(ValueError):
    """A sealed value that was not made with this key for this place."""


def pepper() -> bytes:
    """The secret that lives outside the database and keys every digest; at least 32 bytes."""
    return base64.b64decode(settings.REKEY_PEPPER)


def keyed_digest(purpose: str, *parts: str) -> str:
    """HMAC-SHA256 over the parts in hex, 64 characters. `purpose` keeps digests of different uses apart."""
    message = "\x1f".join((purpose, *parts)).encode()
    return hmac.new(pepper(), message, hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def _cipher(key: str) -> AESGCM:
    return AESGCM(base64.b64decode(key))


def encrypt(text: str, context: str) -> str:
    """Seal text with AES-256-GCM (NIST SP 800-38D), bound to `context`; equal texts seal differently."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(settings.REKEY_FIELD_KEY).encrypt(nonce, text.encode(), context.encode())
    return VERSION + base64.urlsafe_b64encode(nonce + sealed).decode()


def decrypt(blob: str, context: str) -> str:
    """Open what `encrypt` sealed for the same context. Raises Unreadable for anything else."""
    if not blob.startswith(VERSION):
        raise Unreadable("unknown version of a sealed value")
    try:
        raw = base64.urlsafe_b64decode(blob.removeprefix(VERSION))
        opened = _cipher(settings.REKEY_FIELD_KEY).decrypt(
            raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()
        )
    except (InvalidTag, ValueError) as error:
        raise Unreadable("a sealed value does not open here") from error
    return opened.decode()


def mask_phone(phone: str) -> str:
    """`138****2046` for +8613800002046; other countries keep their dial code and the last four digits."""
    if not phone:
        return ""
    if phone.startswith("+86") and len(phone) == 14:
        return f"{phone[3:6]}****{phone[-4:]}"
    return f"{phone[:3]}****{phone[-4:]}"


def mask_email(address: str) -> str:
    """`w****@example.com`: the first letter and the domain."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}****@{domain}" if at else ""
