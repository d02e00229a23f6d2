"""The number that stops a change of address: derived, in its notices only, and kept as a keyed digest."""

from __future__ import annotations

from portal.codes import derive_number
from portal.secrets import keyed_digest, pepper


def number_of(change_id: str) -> str:
    """The number for the notices about this change, such as `C7F3-K229`."""
    return derive_number(pepper(), f"veto:{change_id}")


def digest_of(number: str) -> str:
    """What the database keeps of it; 64 hex characters."""
    return keyed_digest("veto", number)
