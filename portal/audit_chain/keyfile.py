"""The file of the key that signs heads: outside the database, readable by its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

# Beside the issuer keys: what signs lies with the workers (design D6).
KEY_FILE = "audit.key"


class NoAuditKey(RuntimeError):
    """Heads cannot be signed here: there is no key for heads, or others can read its file."""


def key_path() -> Path | None:
    """Where the key lies, or None in a process that is told of no keys."""
    if not settings.REKEY_ISSUER_KEY_FILE:
        return None
    named = Path(settings.REKEY_ISSUER_KEY_FILE)
    return (named if named.is_dir() else named.parent) / KEY_FILE


def make_key(path: Path) -> None:
    """Make the key's file, mode 0600. Raises FileExistsError and OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(handle, "w") as file:
        file.write(Ed25519PrivateKey.generate().private_bytes_raw().hex())


def load_from(path: Path) -> Ed25519PrivateKey:
    """The key in a file. Raises NoAuditKey."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise NoAuditKey(f"{path.name} must be readable by its owner only (chmod 600)")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text()))
    except (OSError, ValueError) as error:
        raise NoAuditKey(f"{path.name} cannot be read: make it with manage.py auditkey") from error


def public_half(key: Ed25519PrivateKey) -> str:
    """The public key in hex, by which heads name their signer."""
    return key.public_key().public_bytes_raw().hex()
