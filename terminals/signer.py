"""The signing key. Only Celery workers are told where it lies (design D6)."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from terminals import jose
from terminals.protocol import TYP_COMMAND


class NoSigningKey(RuntimeError):
    """The process cannot sign: it was not given a key, or the key's file is open to others."""


@lru_cache(maxsize=2)
def _load(path: str) -> dict[str, str]:
    file = Path(path)
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise NoSigningKey("the signing key file must be readable by its owner only (chmod 600)")
        key: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise NoSigningKey(f"the signing key cannot be read: {type(error).__name__}") from error
    return key


def sign_command(claims: Mapping[str, Any]) -> str:
    """The claims as a `rekey-cmd+jwt`. Raises NoSigningKey where the key is not available."""
    if not settings.REKEY_ISSUER_KEY_FILE:
        raise NoSigningKey("REKEY_ISSUER_KEY_FILE is not set in this process")
    return jose.sign(claims, TYP_COMMAND, _load(settings.REKEY_ISSUER_KEY_FILE))
