"""Key files: made once, readable by their owner only, and their names."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from terminals import jose

# In the state folder, unless the command line names another one.
KEY_FOLDER = "issuer"
ROOT_FILE = "root.jwk"
SIGNING_FILE = "signing.jwk"


class OpenToOthers(ValueError):
    """A key file that more people than its owner can read."""


def load(path: Path) -> dict[str, str]:
    """A private JWK from its file. Raises OpenToOthers, or OSError and ValueError as reading does."""
    if is_open_to_others(path):
        raise OpenToOthers(f"{path.name} must be readable by its owner only (chmod 600)")
    key: dict[str, str] = json.loads(path.read_text())
    return key


def load_or_make(path: Path) -> dict[str, str]:
    """The Ed25519 key in the file; a new one if there is no file yet. Two makers agree on one key."""
    if not path.exists():
        _make(path)
    return load(path)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and linked: nobody ever reads half a key, and who links second leaves the first one alone.
    handle, aside = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(jose.generate_key(jose.SIGN), file)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        Path(aside).unlink()


def is_open_to_others(path: Path) -> bool:
    """Whether group or world have any right to the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
