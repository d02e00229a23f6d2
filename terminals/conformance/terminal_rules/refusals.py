"""Rules about tokens that a terminal must not carry out, each with the one reason it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from terminals import jose
from terminals.conformance.rules import COMMAND, GUARDED, Book, Broken
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


def _claims(bench: TerminalBench, **changes: Any) -> dict[str, Any]:
    return bench.server.claims(**{"op": bench.operator, "password": bench.fresh_password(), **changes})


def _headed(**changes: Any) -> Make:
    return lambda bench: forged(_header(bench, **changes), _claims(bench), bench.server.issuer)


def _but(**changes: Any) -> Make:
    """A good token with these claims; functions are asked for their value."""

    def make(bench: TerminalBench) -> str:
        known = {name: value(bench) if callable(value) else value for name, value in changes.items()}
        return bench.token(**known)

    return make


def _in(seconds: int) -> Callable[[TerminalBench], int]:
    return lambda bench: bench.server.now() + seconds


def _next(more: int) -> Callable[[TerminalBench], int]:
    return lambda bench: bench.server.seq + more


def _twice(bench: TerminalBench) -> str:
    claims = _claims(bench)
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
        claims = _claims(bench)
        claims["sealed"] = bench.server.seal(claims["cid"], bench.operator, bench.fresh_password(), **changes)
        return jose.sign(claims, TYP_COMMAND, bench.server.issuer)

    return make


def _sealed_header(**changes: Any) -> Make:
    """A sealed part with another header."""

    def make(bench: TerminalBench) -> str:
        claims = _claims(bench)
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
    Refusal("size", "A token over 4 KiB is malformed", "malformed", _but(more="x" * TOKEN_MAX)),
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
    Refusal(
        "issuer", "Another issuer is wrong_issuer", "wrong_issuer", _but(iss="https://elsewhere.example")
    ),
    Refusal(
        "audience",
        "Another terminal's token is wrong_audience",
        "wrong_audience",
        _but(aud="trm_" + "Z" * 16),
    ),
    Refusal("jkt", "A token for another key of this terminal is wrong_key", "wrong_key", _but(jkt="A" * 16)),
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
        _but(exp=_in(8 * 24 * HOUR)),
    ),
    Refusal("key-early", "A key before its window signs nothing yet", "key_scope", _signed("early")),
    Refusal(
        "key-scope", "A key signs only the commands its keyset lists for it", "key_scope", _signed("low")
    ),
    Refusal(
        "expired",
        "A token that ended over 120 s ago is expired",
        "expired",
        _but(iat=_in(-1000), exp=_in(-180)),
    ),
    Refusal("nbf", "A token before its nbf is not_yet_valid", "not_yet_valid", _but(nbf=_in(400))),
    Refusal(
        "replayed",
        "The number of the last token, and any below, is seq_replayed",
        "seq_replayed",
        _but(seq=_next(0)),
    ),
    Refusal(
        "early",
        "A token from over 120 s ahead is not_yet_valid",
        "not_yet_valid",
        _but(iat=_in(400), exp=_in(900)),
    ),
    Refusal("gap", "A number over 2^20 ahead is seq_gap", "seq_gap", _but(seq=_next(SEQ_STEP_MAX + 1000))),
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
        "policy", "A password of one character is policy_rejected", "policy_rejected", _but(password=SHORT)
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
        _reset(exp=_in(2 * HOUR)),
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


# Two faults in one token: the earlier check decides.
ORDER: Final = (
    (
        "signature-before-issuer",
        "The signature is looked at before any claim",
        "bad_signature",
        lambda bench: ".".join([*bench.token(iss="https://elsewhere.example").split(".")[:2], "A" * 86]),
    ),
    (
        "issuer-before-time",
        "iss before exp",
        "wrong_issuer",
        _but(iss="https://elsewhere.example", iat=_in(-1000), exp=_in(-180)),
    ),
    ("time-before-seq", "exp before seq", "expired", _but(iat=_in(-1000), exp=_in(-180), seq=1)),
    (
        "seq-before-command",
        "seq before cmd",
        "seq_replayed",
        lambda bench: bench.token(cmd="format_disk", op=None, seq=1),
    ),
    (
        "seq-before-sealed",
        "seq before the sealed part is touched",
        "seq_replayed",
        lambda bench: jose.sign(
            _claims(bench, seq=1) | {"sealed": "a.b.c.d.e"}, TYP_COMMAND, bench.server.issuer
        ),
    ),
)


def _in_order(says: str, rc: str, make: Make) -> Callable[[TerminalBench], None]:
    def attempt(bench: TerminalBench) -> None:
        bench.begun()
        bench.judged(f"with two faults ({says})", make(bench), "rejected", rc)

    return attempt


for name, sentence, reason, made in ORDER:
    BOOK.rule(f"order-{name}", COMMAND, f"Checks have an order: {sentence}")(
        _in_order(sentence, reason, made)
    )


@BOOK.rule("spends", COMMAND, "A genuine token that is refused uses up its number")
def spends(bench: TerminalBench) -> None:
    """Expired, seven numbers ahead: the receipt's hwm says so."""
    number = bench.paired().seq + 7
    token = _but(iat=_in(-1000), exp=_in(-180), seq=number)(bench)
    said = bench.send(token)
    if said and said[0]["st"] == "rejected" and said[0]["hwm"] != number:
        raise Broken(
            f"an expired token with seq {number}", f"a receipt with hwm {number}", f"hwm {said[0]['hwm']}"
        )


@BOOK.rule("spends-not", COMMAND, "A token that is not genuine, or out of turn, uses up nothing")
def spends_not(bench: TerminalBench) -> None:
    """A forged one with a high number, and one too far ahead."""
    server = bench.paired()
    mark = server.seq
    forgery = ".".join([*bench.token(seq=mark + 500).split(".")[:2], "A" * 86])
    for what, token in (("forged", forgery), ("too far ahead", bench.token(seq=mark + SEQ_STEP_MAX + 999))):
        said = bench.send(token)
        if said and said[0]["st"] == "rejected" and said[0]["hwm"] > mark:
            raise Broken(f"a token that is {what}", f"a receipt with hwm {mark}", f"hwm {said[0]['hwm']}")
