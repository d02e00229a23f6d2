"""Key files: made once, readable by their owner only, and their names."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from terminals import jose

# In the state folder, unless the command line names another one.
KEY_FOLDER = "issuer"
ROOT_FILE = "root.jwk"
LOCKED_ROOT_FILE = "root.pem"
SIGNING_FILE = "signing.jwk"
RESET_FILE = "signing-reset.jwk"


class OpenToOthers(ValueError):
    """A key file that more people than its owner can read."""


def load(path: Path) -> dict[str, str]:
    """A private JWK from its file. Raises OpenToOthers, or OSError and ValueError as reading does."""
    return dict(json.loads(read(path)))


def read(path: Path) -> bytes:
    """The bytes of a private file. Raises OpenToOthers or OSError."""
    if is_open_to_others(path):
        raise OpenToOthers(f"{path.name} must be readable by its owner only (chmod 600)")
    return path.read_bytes()


def load_or_make(path: Path) -> dict[str, str]:
    """The Ed25519 key in the file; a new one if there is no file yet. Two makers agree on one key."""
    if not path.exists():
        with suppress(FileExistsError):
            write_new(path, json.dumps(jose.generate_key(jose.SIGN)).encode())
    return load(path)


def write_new(path: Path, content: bytes) -> None:
    """Write a private file, whole or not at all. Raises FileExistsError and then leaves the other alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and linked: nobody ever reads half a key, and who links second finds the first one there.
    handle, aside = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    finally:
        Path(aside).unlink()


def is_open_to_others(path: Path) -> bool:
    """Whether group or world have any right to the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def folder_of(named: Path) -> Path:
    """The issuer folder, given as such or by one file in it."""
    return named if named.is_dir() else named.parent


def free_name(first: str, taken: Collection[str]) -> str:
    """`signing.jwk`, then `signing-2.jwk`, and so on: the first that is not taken.

    >>> free_name("signing.jwk", {"signing.jwk"})
    'signing-2.jwk'
    """
    stem, _, ending = first.rpartition(".")
    name, number = first, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{ending}"
    return name
