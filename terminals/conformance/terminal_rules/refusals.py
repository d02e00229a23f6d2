"""Rules about tokens that a terminal must not carry out, each with the one reason it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from terminals import jose
from terminals.conformance.rules import COMMAND, GUARDED, Book
from terminals.conformance.terminal_rules.bench import TerminalBench
from terminals.conformance.unit import forged, segment
from terminals.protocol import (
    FACTORY_RESET,
    HOUR,
    REBOOT,
    SEQ_STEP_MAX,
    TOKEN_MAX,
    TYP_COMMAND,
    TYP_RECEIPT,
)

BOOK: Book[TerminalBench] = Book()
# Against any policy.
SHORT: Final = "7"
ZERO: Final = {"kty": "OKP", "crv": "X25519", "x": jose.b64u(bytes(32))}
Make = Callable[[TerminalBench], str]


class Refusal(NamedTuple):
    """One way to be wrong."""

    id: str
    says: str
    rc: str
    make: Make
    section: str = COMMAND
    needs: str = ""


def _header(bench: TerminalBench, **changes: Any) -> dict[str, Any]:
    header = {"alg": "Ed25519", "typ": TYP_COMMAND, "kid": jose.kid16(bench.server.issuer), **changes}
    return {name: value for name, value in header.items() if value is not None}


def claims_of(bench: TerminalBench, **changes: Any) -> dict[str, Any]:
    """Claims of a good password token, with changes."""
    return bench.server.claims(**{"op": bench.operator, "password": bench.fresh_password(), **changes})


def _headed(**changes: Any) -> Make:
    return lambda bench: forged(_header(bench, **changes), claims_of(bench), bench.server.issuer)


def but(**changes: Any) -> Make:
    """A good token with these claims; functions are asked for their value."""

    def make(bench: TerminalBench) -> str:
        known = {name: value(bench) if callable(value) else value for name, value in changes.items()}
        return bench.token(**known)

    return make


def seconds(seconds: int) -> Callable[[TerminalBench], int]:
    """So many seconds from now on our clock."""
    return lambda bench: bench.server.now() + seconds


def _next(more: int) -> Callable[[TerminalBench], int]:
    return lambda bench: bench.server.seq + more


def _twice(bench: TerminalBench) -> str:
    claims = claims_of(bench)
    raw = segment(claims)
    text = jose.unb64u(raw)[:-1] + f',"seq":{claims["seq"]}}}'.encode()
    return forged(_header(bench), text, bench.server.issuer)


def _stray_bits(bench: TerminalBench) -> str:
    """The last character of the signature with its unused bits set."""
    token = bench.token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) | 1]


def _resealed(**changes: Any) -> Make:
    """A sealed part whose inside says something else than its outside."""

    def make(bench: TerminalBench) -> str:
        claims = claims_of(bench)
        claims["sealed"] = bench.server.seal(claims["cid"], bench.operator, bench.fresh_password(), **changes)
        return jose.sign(claims, TYP_COMMAND, bench.server.issuer)

    return make


def _sealed_header(**changes: Any) -> Make:
    """A sealed part with another header."""

    def make(bench: TerminalBench) -> str:
        claims = claims_of(bench)
        head, rest = claims["sealed"].split(".", 1)
        header = {**jose._strict(jose.unb64u(head)), **changes}
        claims["sealed"] = f"{segment(header)}.{rest}"
        return jose.sign(claims, TYP_COMMAND, bench.server.issuer)

    return make


def _signed(name: str, **changes: Any) -> Make:
    """Signed by another key of the server."""
    return lambda bench: bench.token(key=getattr(bench.server, name), **changes)


def _swapped(bench: TerminalBench) -> str:
    """A token whose signature belongs to another one."""
    return ".".join([*bench.token().split(".")[:2], bench.token().split(".")[2]])


def _reset(**changes: Any) -> Make:
    """A factory reset that lacks one thing it needs."""

    def make(bench: TerminalBench) -> str:
        now = bench.server.now()
        claims: dict[str, Any] = {
            "cmd": FACTORY_RESET,
            "key": bench.server.resetter,
            "args": {"scope": "all"},
            "by": "usr_1",
            "apr": ["usr_2"],
            "guard": {"bk": "bk_1", "bk_at": now - HOUR},
            "exp": now + HOUR - 60,
        }
        known = {name: value(bench) if callable(value) else value for name, value in changes.items()}
        return bench.token(**{**claims, **known})

    return make


REFUSALS: Final = (
    Refusal("size", "A token over 4 KiB is malformed", "malformed", but(more="x" * TOKEN_MAX)),
    Refusal(
        "header-extra",
        "A header with anything besides alg, typ, kid is malformed",
        "malformed",
        _headed(cty="JWT"),
    ),
    Refusal(
        "header-b64",
        "b64 false, even properly announced in crit, is malformed",
        "malformed",
        _headed(b64=False, crit=["b64"]),
    ),
    Refusal("header-alg-none", "A token with alg none is malformed", "malformed", _headed(alg="none")),
    Refusal(
        "header-eddsa", "A server says Ed25519; EdDSA is not taken for it", "malformed", _headed(alg="EdDSA")
    ),
    Refusal("header-typ", "A token of another type is malformed", "malformed", _headed(typ=TYP_RECEIPT)),
    Refusal(
        "base64-padding", "A token with padding is malformed", "malformed", lambda bench: bench.token() + "="
    ),
    Refusal("base64-stray-bits", "Unused last bits that are set are malformed", "malformed", _stray_bits),
    Refusal("json-twice", "A repeated claim is malformed", "malformed", _twice),
    Refusal(
        "key-unknown",
        "A key that is in no keyset is unknown_key",
        "unknown_key",
        lambda bench: bench.token(key=jose.generate_key(jose.SIGN)),
    ),
    Refusal("key-root", "The root signs no commands", "unknown_key", _signed("root")),
    Refusal(
        "key-revoked",
        "A revoked key signs nothing, however fresh the token",
        "key_revoked",
        _signed("revoked_key"),
    ),
    Refusal(
        "signature", "A signature that belongs to other bytes is bad_signature", "bad_signature", _swapped
    ),
    Refusal("issuer", "Another issuer is wrong_issuer", "wrong_issuer", but(iss="https://elsewhere.example")),
    Refusal(
        "audience",
        "Another terminal's token is wrong_audience",
        "wrong_audience",
        but(aud="trm_" + "Z" * 16),
    ),
    Refusal("jkt", "A token for another key of this terminal is wrong_key", "wrong_key", but(jkt="A" * 16)),
    Refusal(
        "shape-op",
        "An operator number that is no text of two digits is malformed",
        "malformed",
        lambda bench: bench.token(op=3, password=None, args={"choose": True}),
    ),
    Refusal(
        "shape-seq",
        "A number as text is malformed",
        "malformed",
        lambda bench: bench.token(seq=str(bench.server.seq + 1)),
    ),
    Refusal(
        "shape-life",
        "A token that lives over seven days is malformed",
        "malformed",
        but(exp=seconds(8 * 24 * HOUR)),
    ),
    Refusal("key-early", "A key before its window signs nothing yet", "key_scope", _signed("early")),
    Refusal(
        "key-scope", "A key signs only the commands its keyset lists for it", "key_scope", _signed("low")
    ),
    Refusal(
        "expired",
        "A token that ended over 120 s ago is expired",
        "expired",
        but(iat=seconds(-1000), exp=seconds(-180)),
    ),
    Refusal("nbf", "A token before its nbf is not_yet_valid", "not_yet_valid", but(nbf=seconds(400))),
    Refusal(
        "replayed",
        "The number of the last token, and any below, is seq_replayed",
        "seq_replayed",
        but(seq=_next(0)),
    ),
    Refusal(
        "early",
        "A token from over 120 s ahead is not_yet_valid",
        "not_yet_valid",
        but(iat=seconds(400), exp=seconds(900)),
    ),
    Refusal("gap", "A number over 2^20 ahead is seq_gap", "seq_gap", but(seq=_next(SEQ_STEP_MAX + 1000))),
    Refusal(
        "unsupported",
        "A command nobody knows is unsupported_cmd",
        "unsupported_cmd",
        lambda bench: bench.token(cmd="format_disk", op=None),
    ),
    Refusal(
        "operator",
        "An operator who is not on this terminal is operator_unknown",
        "operator_unknown",
        lambda bench: bench.token(op="77"),
    ),
    Refusal(
        "sealed-moved",
        "A sealed part of another command does not open",
        "open_failed",
        _resealed(apv="cmd_" + "Z" * 16),
    ),
    Refusal("sealed-enc", "Another enc does not open", "open_failed", _sealed_header(enc="A128GCM")),
    Refusal("sealed-zip", "A compressed part does not open", "open_failed", _sealed_header(zip="DEF")),
    Refusal(
        "sealed-epk",
        "An epk of low order does not open, and breaks nothing",
        "open_failed",
        _sealed_header(epk=ZERO),
    ),
    Refusal(
        "inner-op",
        "Another operator inside than outside is inner_mismatch",
        "inner_mismatch",
        _resealed(op="99"),
    ),
    Refusal(
        "inner-cid",
        "Another command inside than outside is inner_mismatch",
        "inner_mismatch",
        _resealed(cid="cmd_" + "Z" * 16),
    ),
    Refusal(
        "policy", "A password of one character is policy_rejected", "policy_rejected", but(password=SHORT)
    ),
    Refusal(
        "reset-scope",
        "A factory reset by the key for passwords is key_scope",
        "key_scope",
        lambda bench: _reset(key=bench.server.issuer)(bench),
        GUARDED,
        FACTORY_RESET,
    ),
    Refusal(
        "reboot-scope",
        "A restart by the key for passwords is key_scope",
        "key_scope",
        lambda bench: bench.token(cmd=REBOOT),
        GUARDED,
        REBOOT,
    ),
    Refusal(
        "reset-approved",
        "A factory reset that nobody approved is guard_failed",
        "guard_failed",
        _reset(apr=None),
        GUARDED,
        FACTORY_RESET,
    ),
    Refusal(
        "reset-four-eyes",
        "A factory reset approved by who asked for it is guard_failed",
        "guard_failed",
        _reset(apr=["usr_1"]),
        GUARDED,
        FACTORY_RESET,
    ),
    Refusal(
        "reset-backup",
        "A factory reset without a backup is guard_failed",
        "guard_failed",
        _reset(guard=None),
        GUARDED,
        FACTORY_RESET,
    ),
    Refusal(
        "reset-old-backup",
        "A backup over 24 h old is guard_failed",
        "guard_failed",
        _reset(guard=lambda bench: {"bk": "bk_1", "bk_at": bench.server.now() - 25 * HOUR}),
        GUARDED,
        FACTORY_RESET,
    ),
    Refusal(
        "reset-life",
        "A factory reset that lives over an hour is guard_failed",
        "guard_failed",
        _reset(exp=seconds(2 * HOUR)),
        GUARDED,
        FACTORY_RESET,
    ),
)


def _attempt(refusal: Refusal) -> Callable[[TerminalBench], None]:
    def attempt(bench: TerminalBench) -> None:
        if refusal.needs:
            bench.able(refusal.needs)
        bench.begun()
        bench.judged(f"that must be refused ({refusal.id})", refusal.make(bench), "rejected", refusal.rc)

    return attempt


for one in REFUSALS:
    BOOK.rule(f"refuse-{one.id}", one.section, one.says)(_attempt(one))
