"""Rules about receipts. Those about a real token ask the server's owner for a command."""

from __future__ import annotations

from terminals import jose
from terminals.conformance.rules import RECEIPTS, Book
from terminals.conformance.server_rules.bench import ServerBench, result_of, wanted_result
from terminals.conformance.unit import Unit, forged
from terminals.protocol import RECEIPT_MAX, TYP_AUTH, TYP_COMMAND, TYP_RECEIPT, new_id

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule


def made_up(bench: ServerBench) -> str:
    """A token nobody issued."""
    claims = {"jti": new_id("tok"), "cid": new_id("cmd"), "seq": 1}
    return jose.sign(claims, TYP_COMMAND, bench.unit.sign_key)


@rule("receipt-unknown", RECEIPTS, "A genuine receipt about a token nobody issued is unknown")
def unknown(bench: ServerBench) -> None:
    """The terminal may drop it."""
    receipt = bench.paired().receipt(made_up(bench))
    wanted_result(bench.report(receipt, what="a receipt about a made-up token"), "unknown")


@rule("receipt-invalid", RECEIPTS, "What cannot be verified or read is invalid, one by one, in order")
def invalid(bench: ServerBench) -> None:
    """Each beside a genuine one, which must not suffer."""
    unit, token = bench.paired(), made_up(bench)
    claims = unit.receipt_claims(token)
    stranger = jose.generate_key(jose.SIGN)
    cases = {
        "three letters": "a.b.c",
        "signed by another key": forged(unit.header(TYP_RECEIPT), claims, stranger),
        "with the type of a bearer": forged(unit.header(TYP_AUTH), claims, unit.sign_key),
        "with alg none": forged(unit.header(TYP_RECEIPT, alg="none"), claims, unit.sign_key),
        "with b64 false": forged(unit.header(TYP_RECEIPT, b64=False, crit=["b64"]), claims, unit.sign_key),
        "rejected without a reason": unit.receipt(token, "rejected"),
        "with a reason nobody knows": unit.receipt(token, "rejected", rc="because"),
        "without the hash": unit.receipt(token, tok=None),
        "a bearer": unit.bearer(),
    }
    for what, item in cases.items():
        answer = bench.report(item, unit.receipt(token), what=f"a receipt {what}, then a genuine one")
        wanted_result(answer, "invalid")
        if result_of(answer, 1) == "invalid":
            raise answer.broken("the second one judged on its own", answer.shown)


@rule("receipt-addressed", RECEIPTS, "A receipt of another terminal or for another server is invalid")
def addressed(bench: ServerBench) -> None:
    """Iss and aud."""
    unit, token = bench.paired(), made_up(bench)
    other = unit.receipt(token, iss="trm_" + "Z" * 16)
    wanted_result(bench.report(other, what="a receipt with another terminal's iss"), "invalid")
    elsewhere = unit.receipt(token, aud="https://elsewhere.example/terminal/v1")
    wanted_result(bench.report(elsewhere, what="a receipt for another server"), "invalid")


@rule("receipt-size", RECEIPTS, "A receipt over 2 KiB is invalid")
def size(bench: ServerBench) -> None:
    """Properly signed, too long."""
    receipt = bench.paired().receipt(made_up(bench), more="x" * RECEIPT_MAX)
    wanted_result(bench.report(receipt, what=f"a receipt of {len(receipt)} bytes"), "invalid")


@rule("receipt-batch", RECEIPTS, "One to eight receipts in a request, else it is malformed")
def batch(bench: ServerBench) -> None:
    """None, nine, and no list."""
    receipt = bench.paired().receipt(made_up(bench))
    for what, body in {
        "no receipt": {"receipts": []},
        "nine receipts": {"receipts": [receipt] * 9},
        "a text instead of a list": {"receipts": receipt},
    }.items():
        bench.ask("POST", "receipts", body, what=what).wanted(400, "malformed")


@rule("receipt-deferred", RECEIPTS, "deferred is taken, and the command is not over")
def deferred(bench: ServerBench) -> None:
    """For one second."""
    token = bench.command()
    receipt = bench.unit.receipt(token, "deferred", rc="busy", retry=1, hwm=bench.unit.hwm)
    wanted_result(bench.report(receipt, what="deferred, busy, for one second"), "ok")
    answer = bench.poll("wait=10&max=4", what="after a deferral of one second").wanted(200)
    if token not in answer.body.get("tokens", []):
        raise answer.broken("the deferred token again", answer.shown)


@rule("receipt-applied", RECEIPTS, "applied is taken, and its token is not offered again")
def applied(bench: ServerBench) -> None:
    """The queue is empty then."""
    token = bench.command()
    wanted_result(bench.report(bench.unit.receipt(token, jti=_id(bench, "A")), what="applied"), "ok")
    answer = bench.poll(what="after its receipt")
    if answer.status == 200 and token in answer.body.get("tokens", []):
        raise answer.broken("the token is gone", answer.shown)


@rule("receipt-duplicate", RECEIPTS, "The same bytes again are a duplicate, as often as they come")
def duplicate(bench: ServerBench) -> None:
    """Twice in one request, and once more."""
    token = bench.command()
    receipt = bench.unit.receipt(token, "signed_on", jti=_id(bench, "B"))
    answer = bench.report(receipt, receipt, what="signed_on, twice in one request")
    wanted_result(answer, "ok")
    wanted_result(answer, "duplicate", 1)
    wanted_result(bench.report(receipt, what="signed_on, a third time"), "duplicate")


@rule("receipt-conflict", RECEIPTS, "What contradicts an earlier receipt is a conflict")
def conflict(bench: ServerBench) -> None:
    """The same id with other contents; rejected after applied."""
    token = bench.command()
    forked = bench.unit.receipt(token, jti=_id(bench, "A"), at=bench.unit.now() - 1)
    wanted_result(bench.report(forked, what="applied, the id of an earlier receipt, another at"), "conflict")
    refused = bench.unit.receipt(token, "rejected", rc="policy_rejected")
    wanted_result(bench.report(refused, what="rejected, after applied"), "conflict")


@rule("receipt-other-bytes", RECEIPTS, "A receipt whose hash is of other bytes is unknown")
def other_bytes(bench: ServerBench) -> None:
    """All else is right."""
    token = bench.command()
    receipt = bench.unit.receipt(token, tok=jose.digest("other bytes"))
    wanted_result(bench.report(receipt, what="applied, with the hash of other bytes"), "unknown")


@rule("receipt-of-another-key", RECEIPTS, "Nobody reports for another terminal")
def another(bench: ServerBench) -> None:
    """A stranger's receipt inside our request."""
    stranger = Unit(bench.origin, tid=bench.paired().tid, offset=bench.unit.offset)
    receipt = stranger.receipt(made_up(bench))
    wanted_result(bench.report(receipt, what="a stranger's receipt in our name"), "invalid")


def _id(bench: ServerBench, letter: str) -> str:
    """A receipt id that stays the same during one run."""
    return f"rcp_{bench.unit.tid[4:15]}{letter}kit1"
