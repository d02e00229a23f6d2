"""Short ways to say how issuer keys stand and to publish the next keyset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terminals import jose
from terminals.keys import issuer, keyfiles, roots
from terminals.models import IssuerKey, Keyset, TerminalStatus
from terminals.protocol import TYP_COMMAND
from tests.cast import PairedTill


def next_keyset(folder: Path, **more: Any) -> Keyset:
    """Draft, sign with the root in the folder, publish."""
    root = keyfiles.load(folder / keyfiles.ROOT_FILE)
    return issuer.publish(roots.sign(issuer.draft(folder, **more).claims, root))


def standing(state: str, scope: issuer.Scope = issuer.ORDINARY) -> IssuerKey:
    """The key that stands like this."""
    found = [one.key for one in issuer.standings() if one.state == state and one.scope == scope]
    assert len(found) == 1, f"{len(found)} keys are {state}"
    return found[0]


def says(version: int) -> Any:
    """What a published keyset says."""
    return issuer.content(issuer.keyset(version))


def listed(version: int) -> set[str]:
    """The kids in a published keyset."""
    return {jose.kid16(entry.jwk) for entry in says(version).keys}


def signer_of(token: str) -> str:
    """The kid in a command's header."""
    return jose.read(token, TYP_COMMAND).kid


def knows(till: PairedTill, version: int | None) -> None:
    """The terminal has told which keyset it has."""
    TerminalStatus.objects.update_or_create(terminal=till.terminal, defaults={"keyset_version": version})
