"""Heads: the newest link of the chain, signed by a key outside the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.audit_chain import keyfile
from portal.models import AuditHead, AuditLink

MEMBERS = ("seq", "digest", "signed_at", "key", "signature")


def load_key() -> Ed25519PrivateKey:
    """The key. Before the first head it is made where there is none. Raises NoAuditKey."""
    path = keyfile.key_path()
    if path is None:
        raise keyfile.NoAuditKey("REKEY_ISSUER_KEY_FILE is not set in this process")
    if not path.exists() and not AuditHead.objects.exists():
        with suppress(OSError):
            keyfile.make_key(path)
    return keyfile.load_from(path)


def _signed_bytes(head: Mapping[str, Any]) -> bytes:
    return "\n".join(["rekey audit head 1", *(str(head[name]) for name in MEMBERS[:-1])]).encode()


def sign(now: datetime) -> AuditHead | None:
    """Sign the newest link; None where there is none, or it is signed already. Raises NoAuditKey."""
    last = AuditLink.objects.order_by("-seq").first()
    if last is None or AuditHead.objects.filter(seq=last.seq).exists():
        return None
    key = load_key()
    facts = {
        "seq": last.seq,
        "digest": last.digest,
        "signed_at": now.isoformat(),
        "key": keyfile.public_half(key),
    }
    signature = key.sign(_signed_bytes(facts)).hex()
    return AuditHead.objects.get_or_create(seq=last.seq, defaults={**facts, "signature": signature})[0]


def newest() -> AuditHead | None:
    """The last head that was signed, if any was."""
    return AuditHead.objects.order_by("-seq").first()


def was_signed() -> bool:
    """Whether any head is signed: the first runs seal what was there before."""
    return AuditHead.objects.exists()


def exported(head: AuditHead) -> str:
    """The head as one line of JSON, to keep elsewhere."""
    return json.dumps({name: getattr(head, name) for name in MEMBERS})


def read(text: str) -> dict[str, Any]:
    """A head kept elsewhere. Raises ValueError."""
    head = json.loads(text)
    if not isinstance(head, dict) or set(head) != set(MEMBERS) or type(head["seq"]) is not int:
        raise ValueError("this is no exported head")
    return head


def is_genuine(head: Mapping[str, Any], trusted: str | None) -> bool:
    """Whether the head's key signed it, and is the trusted one if one is named."""
    if trusted is not None and head["key"] != trusted:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head["key"]))
        key.verify(bytes.fromhex(head["signature"]), _signed_bytes(head))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True
