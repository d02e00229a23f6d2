"""The signing key. Only Celery workers are told where it lies (design D6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from terminals import jose, keyfiles
from terminals.protocol import TYP_COMMAND


class NoSigningKey(RuntimeError):
    """The process cannot sign: it was not given a key, or the key's file is open to others."""


@lru_cache(maxsize=2)
def _load(path: str) -> dict[str, str]:
    try:
        return keyfiles.load(Path(path))
    except (OSError, ValueError) as error:
        raise NoSigningKey(f"the signing key cannot be used: {type(error).__name__}") from error


def sign_command(claims: Mapping[str, Any]) -> str:
    """The claims as a `rekey-cmd+jwt`. Raises NoSigningKey where the key is not available."""
    if not settings.REKEY_ISSUER_KEY_FILE:
        raise NoSigningKey("REKEY_ISSUER_KEY_FILE is not set in this process")
    return jose.sign(claims, TYP_COMMAND, _load(settings.REKEY_ISSUER_KEY_FILE))
