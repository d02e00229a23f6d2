"""`python -m tests.vectors` writes docs/vectors/*.json anew; with --check it only says which are stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from terminals import jose
from terminals.protocol import TYP_KEYSET
from tests.vectors import both_sides, server_side, terminal_side, world
from tests.vectors.vector import FOLDER, Vector, written


class Sheet(NamedTuple):
    """One file: what it is for, what all of its vectors start from, and the vectors."""

    about: str
    state: Mapping[str, Any]
    vectors: Callable[[], Iterator[Vector]]


def _offline() -> Iterator[Vector]:
    yield from both_sides.published()
    yield from both_sides.unlocks()


SHEETS: Final[Mapping[str, Sheet]] = {
    "command": Sheet("Tokens for a terminal", terminal_side.GIVEN, terminal_side.commands),
    "sealed": Sheet("Sealed parts, opened on their own", {}, terminal_side.sealed_parts),
    "keyset": Sheet("Keysets offered to a terminal", terminal_side.GIVEN, terminal_side.keysets),
    "receipt": Sheet("Bodies of POST receipts", server_side.GIVEN, server_side.receipts),
    "bearer": Sheet("Bearers of a request", server_side.GIVEN, server_side.bearers),
    "enroll": Sheet("Bodies of POST enroll", server_side.GIVEN, server_side.enrollments),
    "keyroll": Sheet("Bodies of POST keys/roll", server_side.GIVEN, server_side.keyrolls),
    "json": Sheet("Bytes that are or are not a strict JSON object", {}, both_sides.texts),
    "key": Sheet("Public keys to register", {}, both_sides.keys),
    "pairing-code": Sheet("Pairing codes and QR texts", {}, both_sides.codes),
    "telemetry": Sheet("Values of Rekey-Telemetry", {}, both_sides.headers),
    "ocra": Sheet("Answers to offline questions", {}, _offline),
}


def keys() -> str:
    """The file of fixed keys, and the keyset that the terminal holds."""
    named = {
        "terminal_sign": world.TERMINAL,
        "terminal_open": world.OPENING,
        "root": world.ROOT,
        "issuer": world.ISSUER,
        "issuer_revoked": world.REVOKED,
        "issuer_not_yet": world.EARLY,
        "issuer_past": world.PAST,
        "issuer_message_only": world.LOW_SCOPE,
        "issuer_reboot_only": world.REBOOTER,
        "issuer_factory_reset_only": world.RESETTER,
        "next_root": world.NEXT_ROOT,
        "next_sign": world.NEXT,
        "next_open": server_side.NEXT_OPENING,
        "stranger": world.STRANGER,
    }
    whole = {
        "about": "Never use these keys for anything else: everybody has them.",
        "keys": named,
        "kids": {name: jose.kid16(key) for name, key in named.items()},
        "keyset_claims": world.keyset(),
        "keyset": jose.sign(world.keyset(), TYP_KEYSET, world.ROOT),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def files() -> dict[str, str]:
    """Every file of docs/vectors by its name, without the README."""
    made = {
        f"{kind}.json": written(sheet.about, sheet.state, sheet.vectors()) for kind, sheet in SHEETS.items()
    }
    return {"keys.json": keys(), **made}


def main(arguments: list[str]) -> int:
    """Write or compare; returns the exit code."""
    stale = []
    for name, text in files().items():
        path = FOLDER / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, "utf-8")
    print("\n".join(stale) or "nothing has changed")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
