"""Rules about the walk over keysets."""

from __future__ import annotations

from typing import Any

from terminals import jose
from terminals.conformance.memory import EVERYDAY, YEAR, Jwk
from terminals.conformance.rules import KEYS, Book, Broken
from terminals.conformance.server import Server
from terminals.conformance.terminal_rules.bench import TerminalBench
from terminals.protocol import HOUR, TYP_KEYSET

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule


def _entry(server: Server, key: Jwk) -> dict[str, Any]:
    now = server.now()
    return {"jwk": jose.public_jwk(key), "cmds": EVERYDAY, "nbf": now - HOUR, "exp": now + YEAR}


def _following(server: Server, ver: int, *keys: Jwk, **changes: Any) -> dict[str, Any]:
    """Claims of a keyset with these keys besides the usual ones."""
    claims = server.keyset(ver, **changes)
    return claims | {"keys": [*claims["keys"], *(_entry(server, key) for key in keys)]}


def _publish(server: Server, claims: dict[str, Any], root: Jwk) -> None:
    server.keysets[server.version + 1] = jose.sign(claims, TYP_KEYSET, root)


def _withdraw(server: Server) -> None:
    """Take back the newest one: it was none that anybody followed."""
    del server.keysets[server.version]


def _unfollowed(bench: TerminalBench, what: str, claims: dict[str, Any], root: Jwk, key: Jwk) -> None:
    """Raises Broken if the terminal takes keys from this keyset."""
    server = bench.paired()
    _publish(server, claims, root)
    said = bench.send(bench.token(key=key))
    _withdraw(server)
    if not said or said[0].get("rc") != "unknown_key":
        found = f"{said[0]['st']} {said[0].get('rc', '')}" if said else "no receipt"
        raise Broken(f"a token by a key of a keyset {what}", "rejected unknown_key", found)


@rule("keyset-walk", KEYS, "A key the terminal does not know makes it fetch the keysets that follow its own")
def walk(bench: TerminalBench) -> None:
    """Three steps on; the key is in the last."""
    server = bench.paired()
    key = jose.generate_key(jose.SIGN)
    asked = len(server.requests)
    for _ in range(2):
        _publish(server, server.keyset(server.version + 1), server.root)
    _publish(server, _following(server, server.version + 1, key), server.root)
    bench.judged("by a key three keysets on", bench.token(key=key), "applied")
    steps = [request.path for request in server.requests[asked:] if request.path.startswith("keysets/")]
    wanted = [f"keysets/{version}" for version in range(server.version - 2, server.version + 1)]
    if [path for path in steps if path in wanted] != wanted:
        raise Broken("a key three keysets on", ", then ".join(wanted), ", ".join(steps) or "nothing")


@rule("keyset-root", KEYS, "A keyset must be signed by a root that was trusted before it")
def root(bench: TerminalBench) -> None:
    """A stranger vouches for itself."""
    server = bench.paired()
    stranger, key = jose.generate_key(jose.SIGN), jose.generate_key(jose.SIGN)
    claims = _following(server, server.version + 1, key, roots=[jose.public_jwk(stranger)])
    _unfollowed(bench, "by a root of its own", claims, stranger, key)


@rule("keyset-online-key", KEYS, "A key for commands signs no keysets")
def online(bench: TerminalBench) -> None:
    """The issuer's own key."""
    server, key = bench.paired(), jose.generate_key(jose.SIGN)
    roots = [jose.public_jwk(one) for one in (server.root, server.issuer)]
    claims = _following(server, server.version + 1, key, roots=roots)
    _unfollowed(bench, "signed by the key for commands", claims, server.issuer, key)


@rule("keyset-step", KEYS, "Each keyset is exactly one version on")
def step(bench: TerminalBench) -> None:
    """Two on, under the address of the next."""
    server, key = bench.paired(), jose.generate_key(jose.SIGN)
    claims = _following(server, server.version + 2, key)
    _unfollowed(bench, "that skips a version", claims, server.root, key)


@rule("keyset-issuer", KEYS, "A keyset of another issuer is not followed")
def issuer(bench: TerminalBench) -> None:
    """Signed by the right root."""
    server, key = bench.paired(), jose.generate_key(jose.SIGN)
    claims = _following(server, server.version + 1, key, iss="https://elsewhere.example")
    _unfollowed(bench, "of another issuer", claims, server.root, key)


@rule("keyset-new-root", KEYS, "The roots of a keyset are the roots from then on")
def new_root(bench: TerminalBench) -> None:
    """The old root names a new one, which signs the next keyset alone; then the old one is out."""
    server = bench.paired()
    old, new = server.root, jose.generate_key(jose.SIGN)
    key, late = jose.generate_key(jose.SIGN), jose.generate_key(jose.SIGN)
    both, alone = [jose.public_jwk(old), jose.public_jwk(new)], [jose.public_jwk(new)]
    _publish(server, server.keyset(server.version + 1, roots=both), old)
    _publish(server, _following(server, server.version + 1, key, roots=alone), new)
    server.root = new
    bench.judged("by a key of a keyset of the new root", bench.token(key=key), "applied")
    claims = _following(server, server.version + 1, late, roots=both)
    _unfollowed(bench, "by the root that was replaced", claims, old, late)


@rule("keyset-revoked", KEYS, "A key that is revoked signs nothing any more, from then on")
def revoked(bench: TerminalBench) -> None:
    """Good before, refused afterwards; an unknown key makes the terminal look."""
    server = bench.paired()
    key, other = jose.generate_key(jose.SIGN), jose.generate_key(jose.SIGN)
    _publish(server, _following(server, server.version + 1, key), server.root)
    bench.judged("by a key that is good", bench.token(key=key), "applied")
    gone = [*server.keyset(1)["revoked"], jose.kid16(key)]
    _publish(server, _following(server, server.version + 1, key, other, revoked=gone), server.root)
    bench.judged("by a key of the newest keyset", bench.token(key=other), "applied")
    bench.judged("by a key that was revoked meanwhile", bench.token(key=key), "rejected", "key_revoked")


@rule("keyset-end", KEYS, "The walk ends at 404, and does no harm")
def end(bench: TerminalBench) -> None:
    """Nothing follows."""
    bench.paired()
    stranger = jose.generate_key(jose.SIGN)
    bench.judged("by a key of no keyset", bench.token(key=stranger), "rejected", "unknown_key")
    bench.judged("by the usual key after that", bench.token(), "applied")
