"""Rules about the order of checks, and about what a refused token costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from terminals import jose
from terminals.conformance.rules import COMMAND, Book, Broken
from terminals.conformance.terminal_rules.bench import TerminalBench
from terminals.conformance.terminal_rules.refusals import Make, but, claims_of, seconds
from terminals.protocol import (
    SEQ_STEP_MAX,
    TYP_COMMAND,
)

BOOK: Book[TerminalBench] = Book()

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
        but(iss="https://elsewhere.example", iat=seconds(-1000), exp=seconds(-180)),
    ),
    ("time-before-seq", "exp before seq", "expired", but(iat=seconds(-1000), exp=seconds(-180), seq=1)),
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
            claims_of(bench, seq=1) | {"sealed": "a.b.c.d.e"}, TYP_COMMAND, bench.server.issuer
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
    token = but(iat=seconds(-1000), exp=seconds(-180), seq=number)(bench)
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
