"""Rules about keysets, and about a terminal that changes its own keys."""

from __future__ import annotations

from terminals import jose
from terminals.claims import parse_keyset
from terminals.conformance.calling import Heard
from terminals.conformance.rules import KEYS, PAIRING, Book
from terminals.conformance.server_rules.bench import ServerBench
from terminals.conformance.unit import Unit
from terminals.protocol import KEYSET_STEPS_MAX, TYP_KEYSET, ProtocolError

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule


def _keyset(bench: ServerBench, version: int) -> Heard:
    return bench.ask("GET", f"keysets/{version}", bearer=None, what="without a bearer")


@rule("keyset-public", KEYS, "A keyset is public, a bare JWS, and may be cached for ever")
def public(bench: ServerBench) -> None:
    """The one we were given when we were paired."""
    bench.paired()
    version = bench.keyset.ver if bench.keyset else 1
    answer = _keyset(bench, version).wanted(200)
    content = answer.headers.get("content-type", "").partition(";")[0]
    if content != "application/jose":
        raise answer.broken("Content-Type: application/jose", content)
    if "immutable" not in answer.headers.get("cache-control", ""):
        raise answer.broken("Cache-Control with immutable", answer.headers.get("cache-control", "none"))


@rule("keyset-immutable", KEYS, "A keyset never changes, byte for byte")
def immutable(bench: ServerBench) -> None:
    """Twice, and as it was at pairing."""
    bench.paired()
    version = bench.keyset.ver if bench.keyset else 1
    one, two = _keyset(bench, version).wanted(200), _keyset(bench, version).wanted(200)
    if not one.raw.strip() == two.raw.strip() == bench.keyset_token.encode():
        raise two.broken("the very bytes of the pairing")


@rule("keyset-walk", KEYS, "Each keyset is signed by a root of the one before, up to a 404")
def walk(bench: ServerBench) -> None:
    """From ours to the newest."""
    bench.paired()
    held, roots = (bench.keyset.ver if bench.keyset else 0), bench.roots
    for version in range(held + 1, held + 1 + KEYSET_STEPS_MAX):
        answer = _keyset(bench, version)
        if answer.status == 404:
            answer.wanted(404, "not_found")
            return
        answer.wanted(200)
        known = {jose.kid16(root): dict(root) for root in roots}
        try:
            keyset = parse_keyset(jose.verify(answer.raw.decode().strip(), TYP_KEYSET, known, 8192))
        except (jose.JoseError, ProtocolError) as error:
            raise answer.broken("a keyset signed by a root of the one before", str(error)) from None
        if keyset.ver != version or keyset.iss != bench.origin:
            raise answer.broken(f"ver {version}, iss {bench.origin}", f"ver {keyset.ver}, iss {keyset.iss}")
        bench.keyset, roots = keyset, keyset.roots


def _roll(bench: ServerBench, token: str, what: str) -> Heard:
    headers = {"Content-Type": "application/jose"}
    return bench.ask("POST", "keys/roll", token, what=what, headers=headers)


@rule("roll-proof", PAIRING, "A key roll must prove the new key and name the old one")
def proof(bench: ServerBench) -> None:
    """Another old key, another signer, another server, no proof."""
    unit = bench.paired()
    new = Unit(bench.origin)
    stranger = jose.generate_key(jose.SIGN)
    other_old = unit.proof(new.sign_key, new.open_key, old=jose.kid16(stranger))
    elsewhere = unit.proof(new.sign_key, new.open_key, aud="https://elsewhere.example/terminal/v1")
    broken = unit.proof(new.sign_key, new.open_key).rpartition(".")[0] + "." + "A" * 86
    for what, token in {
        "whose proof names another old key": unit.roll(other_old),
        "whose proof is for another server": unit.roll(elsewhere),
        "whose proof is signed by nobody": unit.roll(broken),
        "without a proof": unit.roll("-"),
        "that lives 301 s": unit.roll(unit.proof(new.sign_key, new.open_key), exp=unit.now() + 301),
    }.items():
        _roll(bench, token, f"a key roll {what}").wanted(400, "malformed")


@rule("roll-in-use", PAIRING, "A key roll to a key that is registered already is refused")
def roll_in_use(bench: ServerBench) -> None:
    """To the present key."""
    unit = bench.paired()
    new_open = jose.generate_key(jose.SEAL)
    token = unit.roll(unit.proof(unit.sign_key, new_open))
    _roll(bench, token, "a key roll to the key that is in force").wanted(409, "key_in_use")


@rule("roll", PAIRING, "After a key roll the old key works until the new one is used, then never again")
def roll(bench: ServerBench) -> None:
    """The answer is lost once on the way."""
    old = bench.paired()
    new = Unit(bench.origin, tid=old.tid, offset=old.offset, hwm=old.hwm)
    for what in ("a key roll", "the same roll again, as if the answer had been lost"):
        answer = _roll(bench, old.roll(old.proof(new.sign_key, new.open_key)), what).wanted(200)
        if answer.body.get("state") != "rolling" or not isinstance(answer.body.get("until"), int):
            raise answer.broken('{"state": "rolling", "until": Unix seconds}')
    bench.tell_inventory(bearer=old.bearer(), what="the old key before the new one was used").wanted(204)
    bench.tell_inventory(bearer=new.bearer(), what="the first request of the new key").wanted(204)
    bench.unit = new
    answer = bench.tell_inventory(bearer=old.bearer(), what="the old key after the new one was used")
    answer.wanted(401, "invalid_auth")
