"""The root key: it vouches for issuer keys and does nothing else, so it can live where no network is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, PrivateFormat, pkcs12

from terminals import jose, keyfiles
from terminals.protocol import TYP_KEYSET

# PKCS #12 and not PKCS #8: of the two that every tool reads, only this one lets us say how slow guessing is
# (the other is written with 2,048 rounds). Half a second for the owner, and for each guess.
ROUNDS: Final = 2_000_000
PASSPHRASE_MIN: Final = 12
_NAME: Final = b"rekey-root"


class CannotOpen(ValueError):
    """A root file that is not one, or a passphrase that is not its."""


def is_locked(path: Path) -> bool:
    """Whether the file is an encrypted one."""
    return path.suffix == ".p12"


def find(folder: Path) -> Path | None:
    """The root in a folder, encrypted or in the clear; None where it is kept elsewhere, as it should be."""
    places = (folder / keyfiles.LOCKED_ROOT_FILE, folder / keyfiles.ROOT_FILE)
    return next((path for path in places if path.is_file()), None)


def make(path: Path, passphrase: str = "") -> dict[str, str]:
    """Write a new root and return its public half; a `.p12` needs a passphrase. Raises FileExistsError."""
    key = jose.generate_key(jose.SIGN)
    keyfiles.write_new(path, _locked(key, passphrase) if is_locked(path) else json.dumps(key).encode())
    return jose.public_jwk(key)


def load(path: Path, passphrase: str = "") -> dict[str, str]:
    """The root in the file. Raises CannotOpen, keyfiles.OpenToOthers or OSError."""
    raw = keyfiles.read(path)
    try:
        key = _unlocked(raw, passphrase) if is_locked(path) else dict(json.loads(raw))
        sound = jose.validate_public_key(jose.public_jwk(key), jose.SIGN)
        return {**sound, "d": str(key["d"])}
    except (KeyError, TypeError, ValueError, jose.JoseError):
        raise CannotOpen(f"{path.name} cannot be opened") from None


def sign(claims: Mapping[str, Any], root: jose.Jwk) -> str:
    """The claims as a `rekey-keyset+jwt`."""
    return jose.sign(claims, TYP_KEYSET, root)


def _locked(key: jose.Jwk, passphrase: str) -> bytes:
    if len(passphrase) < PASSPHRASE_MIN:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_MIN} characters")
    private = Ed25519PrivateKey.from_private_bytes(jose.unb64u(key["d"]))
    return pkcs12.serialize_key_and_certificates(_NAME, private, None, None, _encryption(passphrase))


def _encryption(passphrase: str) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(ROUNDS)
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256())
    return builder.build(passphrase.encode())


def _unlocked(raw: bytes, passphrase: str) -> dict[str, str]:
    private = pkcs12.load_pkcs12(raw, passphrase.encode()).key
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("no Ed25519 key in it")
    public = jose.b64u(private.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": public, "d": jose.b64u(private.private_bytes_raw())}
