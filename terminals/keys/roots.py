"""The root key: it vouches for issuer keys and does nothing else, so it can live where no network is."""

from __future__ import annotations

import base64
import json
import secrets
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from terminals import jose
from terminals.keys import keyfiles
from terminals.protocol import TYP_KEYSET

# An encrypted root is a PKCS #8 file under scrypt (RFC 7914, RFC 8018), which OpenSSL reads as well. The
# library reads such files, but writes only PBKDF2 with 2,048 rounds; the checksum of its PKCS #12 is as quick
# to try. So the dozen lines of DER are ours, and what they make is opened again before anybody relies on it.
# 16 MiB is as much as OpenSSL grants a file, so time is what makes a guess dear: most of a second.
COST: Final = (2**14, 8, 16)
PASSPHRASE_MIN: Final = 12
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_SEQUENCE, _OCTETS, _INTEGER = 0x30, 0x04, 0x02


class CannotOpen(ValueError):
    """A root file that is not one, or a passphrase that is not its."""


def is_locked(path: Path) -> bool:
    """Whether the file is an encrypted one."""
    return path.suffix == ".pem"


def find(folder: Path) -> Path | None:
    """The root in a folder, encrypted or in the clear; None where it is kept elsewhere, as it should be."""
    places = (folder / keyfiles.LOCKED_ROOT_FILE, folder / keyfiles.ROOT_FILE)
    return next((path for path in places if path.is_file()), None)


def make(path: Path, passphrase: str = "") -> dict[str, str]:
    """Write a new root and return its public half; a `.pem` needs a passphrase. Raises FileExistsError."""
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
    plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    n, r, p = COST
    secret = Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode())
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    stretching = _der(_SEQUENCE, _der(_OCTETS, salt), *map(_integer, COST))
    scheme = _der(
        _SEQUENCE,
        _der(_SEQUENCE, _SCRYPT, stretching),
        _der(_SEQUENCE, _AES_256_CBC, _der(_OCTETS, vector)),
    )
    whole = _der(_SEQUENCE, _der(_SEQUENCE, _PBES2, scheme), _der(_OCTETS, sealed))
    lines = textwrap.wrap(base64.b64encode(whole).decode(), 64)
    pem = "\n".join(
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]
    )
    if _unlocked(pem.encode(), passphrase)["d"] != key["d"]:
        raise RuntimeError("the root could not be opened again")
    return pem.encode()


def _der(tag: int, *parts: bytes) -> bytes:
    """One element; ours are shorter than 256 bytes."""
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 0x80 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _unlocked(raw: bytes, passphrase: str) -> dict[str, str]:
    private = load_pem_private_key(raw, passphrase.encode())
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("no Ed25519 key in it")
    public = jose.b64u(private.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": public, "d": jose.b64u(private.private_bytes_raw())}
