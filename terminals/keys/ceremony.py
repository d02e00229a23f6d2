"""What passes between the server and the machine that has the root: a request there, a signed keyset back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from terminals import jose
from terminals.claims import KeysetClaims, parse_keyset
from terminals.keys import roots
from terminals.keys.issuer import Request
from terminals.protocol import KEYSET_MAX, ProtocolError, strict_json

FORM: Final = "rekey-keyset-request/1"
# The claims lie one level deeper in a request than in a keyset.
_DEPTH: Final = 5


class Unreadable(ValueError):
    """A file that is not a request, or asks for something this root cannot give."""


def write_request(path: Path, request: Request) -> None:
    """A request as a file; it holds no secret."""
    asked = {"form": FORM, "signers": list(request.signers), "claims": request.claims}
    path.write_text(json.dumps(asked, indent=2, ensure_ascii=False) + "\n", "utf-8")


def read_request(path: Path) -> Request:
    """The request in a file. Raises Unreadable or OSError."""
    try:
        asked = strict_json(path.read_bytes(), _DEPTH)
        if asked.get("form") != FORM:
            raise Unreadable(f"{path.name} is not a request for a keyset")
        parse_keyset(asked["claims"])
        return Request(asked["claims"], tuple(str(signer) for signer in asked["signers"]))
    except (KeyError, TypeError, ProtocolError) as error:
        raise Unreadable(f"{path.name} cannot be read: {error}") from None


def sign(request: Request, root: jose.Jwk) -> str:
    """The keyset that is asked for, signed. Raises Unreadable when it is for another root or too long."""
    if jose.thumbprint(root) not in request.signers:
        raise Unreadable(f"this is root {jose.thumbprint(root)}; wanted is {' or '.join(request.signers)}")
    token = roots.sign(request.claims, root)
    if len(token) > KEYSET_MAX:
        raise Unreadable("the keyset would be too long for terminals")
    return token


def write_public(path: Path, public: jose.Jwk) -> None:
    """The public half of a root, for the server."""
    path.write_text(json.dumps(public) + "\n", "utf-8")


def read_public(path: Path) -> dict[str, str]:
    """The public half of a root from its file. Raises Unreadable or OSError."""
    try:
        return jose.validate_public_key(json.loads(path.read_text("utf-8")), jose.SIGN)
    except (ValueError, jose.JoseError) as error:
        raise Unreadable(f"{path.name} is not a public root key: {error}") from None


def summary(claims: dict[str, Any]) -> Iterator[str]:
    """What somebody should read aloud before signing."""
    asked: KeysetClaims = parse_keyset(claims)
    yield f"keyset {asked.ver} of {asked.iss}, good until {_day(asked.exp)}"
    for entry in asked.keys:
        kinds = ", ".join(entry.cmds)
        yield f"  key {jose.kid16(entry.jwk)}  {_day(entry.nbf)} to {_day(entry.exp)}  may sign: {kinds}"
    for root in asked.roots:
        yield f"  root {jose.thumbprint(root)}"
    for kid in asked.revoked:
        yield f"  revoked {kid}"


def _day(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).date().isoformat()
