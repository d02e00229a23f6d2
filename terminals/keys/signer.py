"""Signing. Only Celery workers are told where the keys lie (design D6)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from terminals import jose
from terminals.keys import issuer, keyfiles
from terminals.models import IssuerKey, TerminalStatus
from terminals.protocol import TYP_COMMAND


class NoSigningKey(RuntimeError):
    """The process cannot sign: it was not given a key, or the key's file is open to others."""


def sign_command(claims: Mapping[str, Any]) -> str:
    """The claims as a `rekey-cmd+jwt`, by a key its terminal knows. Raises NoSigningKey."""
    return ring().sign(claims)


class Ring:
    """The issuer keys as they stand at one moment: for many tokens in a row."""

    def __init__(self) -> None:
        self._standings = issuer.standings()

    def sign(self, claims: Mapping[str, Any], version: int | None = None) -> str:
        """As `sign_command`; with `version`, the keyset that the terminal reports, no row is looked up."""
        if not settings.REKEY_ISSUER_KEY_FILE:
            raise NoSigningKey("REKEY_ISSUER_KEY_FILE is not set in this process")
        key = self.choose(claims["cmd"], claims["aud"], version)
        return jose.sign(claims, TYP_COMMAND, _private(settings.REKEY_ISSUER_KEY_FILE, key.file, key.kid))

    def choose(self, kind: str, terminal_id: str, version: int | None = None) -> IssuerKey:
        """The newest key in use for this kind that the terminal has a keyset for. Raises NoSigningKey.

        A terminal that has none of them, or has not said, gets the oldest: it is the likeliest to be known,
        and a terminal that does not know it will fetch the keysets it lacks.
        """
        now = timezone.now()
        usable = [
            one.key
            for one in self._standings
            if one.state in ("current", "previous") and kind in one.key.commands and now < one.signs_until
        ]
        if not usable:
            raise NoSigningKey(f"no issuer key may sign {kind}")
        if len(usable) == 1:
            return usable[0]
        known = _keyset_of(terminal_id) if version is None else version
        return next((key for key in usable if (key.first_version or 0) <= known), usable[-1])


def ring() -> Ring:
    """The keys as they stood a second ago at most.

    A key that is revoked in between may sign once more in that second; `revocation.sweep` finds such tokens.
    """
    second = int(time.monotonic())
    return _ring(settings.REKEY_ISSUER_KEY_FILE, issuer.changes(), second)


@lru_cache(maxsize=1)
def _ring(named: str, changes: int, second: int) -> Ring:
    return Ring()


def _keyset_of(terminal_id: str) -> int:
    """The keyset that the terminal reports; before all others when it has said nothing."""
    told = TerminalStatus.objects.filter(terminal_id=terminal_id).values_list("keyset_version", flat=True)
    return told.first() or 0


@lru_cache(maxsize=16)
def _private(named: str, file: str, kid: str) -> dict[str, str]:
    """The private half, from its own file or from the one that was named."""
    folder = keyfiles.folder_of(Path(named))
    places = [folder / file] if file else sorted(folder.glob("*.jwk"))
    if Path(named).is_file():
        places.append(Path(named))
    trouble = "it is not there"
    for path in places:
        try:
            private = keyfiles.load(path)
            if jose.kid16(private) == kid:
                return private
        except (OSError, ValueError, KeyError) as error:
            trouble = type(error).__name__
    raise NoSigningKey(f"the signing key {kid} cannot be used: {trouble}")
