"""Rules about bearers, tried at the door for inventories."""

from __future__ import annotations

from typing import Any

from terminals import jose
from terminals.conformance.calling import Heard
from terminals.conformance.rules import WHO, Book
from terminals.conformance.server_rules.bench import ServerBench
from terminals.conformance.unit import Unit, forged
from terminals.protocol import BEARER_MAX, TYP_AUTH, TYP_RECEIPT

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule


def _refused(bench: ServerBench, token: str, what: str) -> Heard:
    return bench.tell_inventory(bearer=token, what=what).wanted(401, "invalid_auth")


@rule("bearer-accepted", WHO, "A good bearer is taken, again and again until its end")
def accepted(bench: ServerBench) -> None:
    """The same one three times."""
    token = bench.paired().bearer()
    for count in range(1, 4):
        bench.tell_inventory(bearer=token, what=f"one bearer, time {count}").wanted(204)


@rule("bearer-eddsa", WHO, "EdDSA is taken as the older name of Ed25519")
def eddsa(bench: ServerBench) -> None:
    """A bearer whose header says so."""
    unit = bench.paired()
    token = forged(unit.header(TYP_AUTH, alg="EdDSA"), unit.bearer_claims(), unit.sign_key)
    bench.tell_inventory(bearer=token, what='a bearer with "alg": "EdDSA"').wanted(204)


@rule("bearer-none", WHO, "Without a bearer nothing is served")
def none(bench: ServerBench) -> None:
    """At each door that wants one."""
    doors = [("GET", "commands"), ("POST", "receipts"), ("PUT", "inventory"), ("POST", "enroll/confirm")]
    for method, path in doors:
        body: dict[str, str] | None = None if method == "GET" else {}
        bench.ask(method, path, body, bearer=None, what="without a bearer").wanted(401, "invalid_auth")


@rule("bearer-unknown-key", WHO, "A key that is not registered is invalid_auth")
def unknown_key(bench: ServerBench) -> None:
    """A stranger who says our name."""
    stranger = Unit(bench.origin, tid=bench.paired().tid, offset=bench.unit.offset)
    _refused(bench, stranger.bearer(), "a bearer by an unknown key")


@rule("bearer-signature", WHO, "A signature that does not fit is invalid_auth")
def signature(bench: ServerBench) -> None:
    """Our kid, a stranger's signature; and no signature."""
    unit = bench.paired()
    token = forged(unit.header(TYP_AUTH), unit.bearer_claims(), jose.generate_key(jose.SIGN))
    _refused(bench, token, "our kid with another key's signature")
    _refused(bench, unit.bearer().rpartition(".")[0] + ".", "a bearer without its signature")


@rule("bearer-audience", WHO, "A bearer for another server, path or terminal is invalid_auth")
def audience(bench: ServerBench) -> None:
    """Also a trailing slash."""
    unit = bench.paired()
    for what, change in {
        "aud of another server": {"aud": "https://elsewhere.example/terminal/v1"},
        "aud with a trailing slash": {"aud": unit.audience + "/"},
        "aud without the path": {"aud": unit.origin},
        "iss of another terminal": {"iss": "trm_" + "Z" * 16},
    }.items():
        _refused(bench, unit.bearer(**change), f"a bearer with {what}")


@rule("bearer-header", WHO, "A header that is not exactly alg, typ, kid is invalid_auth")
def header(bench: ServerBench) -> None:
    """A critical extension, a key to trust, an address to fetch, another type, no algorithm."""
    unit = bench.paired()
    changes: dict[str, dict[str, Any]] = {
        "b64 false": {"b64": False, "crit": ["b64"]},
        "a key in it": {"jwk": jose.public_jwk(unit.sign_key)},
        "jku": {"jku": "http://127.0.0.1:9/keys"},
        "the type of a receipt": {"typ": TYP_RECEIPT},
        "alg none": {"alg": "none"},
        "alg HS256": {"alg": "HS256"},
    }
    for what, change in changes.items():
        token = forged(unit.header(TYP_AUTH, **change), unit.bearer_claims(), unit.sign_key)
        _refused(bench, token, f"a bearer with {what} in its header")


@rule("bearer-strict", WHO, "A bearer is read as strictly as everything else")
def strict(bench: ServerBench) -> None:
    """A repeated claim; padding; unused last bits."""
    unit = bench.paired()
    claims = jose.unb64u(unit.bearer().split(".")[1])
    twice = claims[:-1] + b',"exp":' + str(unit.now() + 480).encode() + b"}"
    _refused(bench, forged(unit.header(TYP_AUTH), twice, unit.sign_key), "a bearer with exp twice")
    _refused(bench, unit.bearer() + "=", "a bearer with padding")


@rule("bearer-size", WHO, "A bearer over 1 KiB is invalid_auth")
def size(bench: ServerBench) -> None:
    """Properly signed, too long."""
    token = bench.paired().bearer(more="x" * BEARER_MAX)
    _refused(bench, token, f"a bearer of {len(token)} bytes")


@rule("bearer-identical", WHO, "All these refusals are the same: nothing tells which part was wrong")
def identical(bench: ServerBench) -> None:
    """Every invalid_auth so far, compared without its trace."""
    refused = [answer for answer in bench.heard if answer.code == "invalid_auth"]
    bodies = [{name: value for name, value in one.body.items() if name != "trace"} for one in refused]
    for answer, body in zip(refused, bodies, strict=True):
        if body != bodies[0]:
            raise answer.broken(f"the very refusal of {refused[0].question}: {refused[0].shown}")


@rule("bearer-lifetime", WHO, "exp at most 600 s after iat")
def lifetime(bench: ServerBench) -> None:
    """601 is too long, 600 is not."""
    unit = bench.paired()
    begin = unit.now() - 60
    token = unit.bearer(iat=begin, exp=begin + 601)
    bench.tell_inventory(bearer=token, what="a bearer that lives 601 s").wanted(401, "clock_skew")
    token = unit.bearer(iat=begin, exp=begin + 600)
    bench.tell_inventory(bearer=token, what="a bearer that lives 600 s").wanted(204)


@rule("bearer-ended", WHO, "A bearer that ended is clock_skew with server_time, after 30 s of grace")
def ended(bench: ServerBench) -> None:
    """40 s ago is too late, 15 s ago is not."""
    unit, now = bench.paired(), bench.unit.now()
    late = unit.bearer(iat=now - 500, exp=now - 40)
    answer = bench.tell_inventory(bearer=late, what="a bearer that ended 40 s ago").wanted(401, "clock_skew")
    told = answer.body.get("server_time")
    if not isinstance(told, int) or abs(told - unit.now()) > 10:
        raise answer.broken(f"server_time near {unit.now()}")
    token = unit.bearer(iat=now - 500, exp=now - 15)
    bench.tell_inventory(bearer=token, what="a bearer that ended 15 s ago").wanted(204)


@rule("bearer-early", WHO, "A bearer from over 120 s ahead is clock_skew")
def early(bench: ServerBench) -> None:
    """135 s is too far, 100 s is not."""
    unit, now = bench.paired(), bench.unit.now()
    token = unit.bearer(iat=now + 135, exp=now + 600)
    bench.tell_inventory(bearer=token, what="a bearer from 135 s ahead").wanted(401, "clock_skew")
    token = unit.bearer(iat=now + 100, exp=now + 600)
    bench.tell_inventory(bearer=token, what="a bearer from 100 s ahead").wanted(204)


@rule("bearer-skew-verified", WHO, "Only a genuine bearer is told the time")
def skew_verified(bench: ServerBench) -> None:
    """An ended bearer with a stranger's signature learns nothing."""
    unit, now = bench.paired(), bench.unit.now()
    claims = unit.bearer_claims(iat=now - 5000, exp=now - 4500)
    token = forged(unit.header(TYP_AUTH), claims, jose.generate_key(jose.SIGN))
    answer = _refused(bench, token, "an ended bearer with another key's signature")
    if "server_time" in answer.body:
        raise answer.broken("no server_time")
