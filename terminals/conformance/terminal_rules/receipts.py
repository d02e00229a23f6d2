"""Rules about receipts: what they say, and that none gets lost or changes."""

from __future__ import annotations

from terminals.conformance.memory import problem
from terminals.conformance.rules import RECEIPTS, Book, Broken
from terminals.conformance.terminal_rules.bench import TerminalBench, outcome, told
from terminals.protocol import RECEIPTS_PER_POST, SKEW, strict_json

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule
DROPS_AFTER = 3


def _forged(bench: TerminalBench) -> str:
    """A token whose signature is none: its receipt knows only its hash."""
    return ".".join([*bench.token().split(".")[:2], "A" * 86])


@rule("receipt-names", RECEIPTS, "A receipt repeats jti, cid and seq of its token, and the hash of its bytes")
def names(bench: TerminalBench) -> None:
    """One good token."""
    token = bench.token() if bench.paired() else ""
    posted = len(bench.server.posted)
    said = bench.send(token)
    unknown = [item for item, result in bench.server.posted[posted:] if result in ("unknown", "invalid")]
    if not said or unknown or any(name not in said[0] for name in ("sub", "cid", "seq")):
        found = f"{len(unknown)} receipts that fit no token" if unknown else "no receipt with its names"
        raise Broken(told("to report", token), "sub, cid, seq and tok of this very token", found)


@rule("receipt-unread", RECEIPTS, "What could not be authenticated is reported by its hash alone")
def unread(bench: TerminalBench) -> None:
    """No sub, no cid, no seq."""
    token = _forged(bench) if bench.paired() else ""
    said = bench.send(token)
    named = [name for name in ("sub", "cid", "seq") if said and name in said[0]]
    if not said or named:
        found = f"a receipt with {', '.join(named)}" if said else "no receipt"
        raise Broken(told("with a forged signature", token), "a receipt with tok and without names", found)


@rule("receipt-time", RECEIPTS, "iat and at are the time on our clock")
def time(bench: TerminalBench) -> None:
    """Which is not that of the terminal's own clock."""
    token = bench.token() if bench.paired() else ""
    said = bench.send(token)
    now = bench.server.now()
    if said and max(abs(said[0][name] - now) for name in ("iat", "at")) > SKEW:
        found = f"iat {said[0]['iat']}, at {said[0]['at']}"
        raise Broken(told("to report", token), f"iat and at near {now}", found)


@rule("receipt-kept", RECEIPTS, "A receipt is kept until it is answered, and sent again byte for byte")
def kept(bench: TerminalBench) -> None:
    """We fail before we read it."""
    server = bench.paired()
    server.interrupt("receipts", problem("unavailable", retry_after=1))
    asked = len(server.asked("receipts"))
    said = bench.send(bench.token(), rounds=3)
    bodies = [strict_json(request.body)["receipts"] for request in server.asked("receipts")[asked:]]
    if not said or len(bodies) < 2 or bodies[0][0] not in bodies[1]:
        found = f"{len(bodies)} requests" + ("" if len(bodies) < 2 else ", other bytes in the second")
        raise Broken("503 to a receipt", "the very same bytes again", found)


@rule("receipt-answer-lost", RECEIPTS, "An answer that gets lost changes nothing: the same bytes again")
def answer_lost(bench: TerminalBench) -> None:
    """We take it, then fail."""
    server = bench.paired()
    server.lost_answers = 1
    posted = len(server.posted)
    said = bench.send(bench.token(), rounds=3)
    bench.round(2)
    server.lost_answers = 0
    results = [result for _, result in server.posted[posted:]]
    if not said or results != ["ok", "duplicate"]:
        raise Broken("a receipt taken, but answered 500", "the very same bytes again", ", ".join(results))


@rule("receipt-short-answer", RECEIPTS, "Without one result for each receipt none of them was taken")
def short(bench: TerminalBench) -> None:
    """One result too few."""
    server = bench.paired()
    server.short_answers = 1
    posted = len(server.posted)
    bench.send(bench.token(), rounds=3)
    bench.round(2)
    server.short_answers = 0
    results = [result for _, result in server.posted[posted:]]
    if results != ["ok", "duplicate"]:
        raise Broken("one result too few", "the very same bytes again", ", ".join(results))


@rule("receipt-dropped", RECEIPTS, "Once answered ok, duplicate, late, unknown or conflict it is dropped")
def dropped(bench: TerminalBench) -> None:
    """One after the other."""
    server = bench.paired()
    for verdict in ("ok", "duplicate", "late", "unknown", "conflict"):
        server.verdicts.append(verdict)
        bench.send(bench.token())
        server.verdicts.clear()
        posted = len(server.posted)
        bench.round(2)
        if len(server.posted) > posted:
            raise Broken(f'a receipt answered "{verdict}"', "it does not come again", "it comes again")


@rule("receipt-invalid-kept", RECEIPTS, "Answered invalid it is kept, and dropped after three times")
def invalid_kept(bench: TerminalBench) -> None:
    """We call it invalid as often as it comes."""
    server = bench.paired()
    server.verdicts.extend(["invalid"] * 8)
    posted = len(server.posted)
    bench.send(bench.token())
    bench.round(4)
    server.verdicts.clear()
    came = [item for item, _ in server.posted[posted:]]
    if len(came) != DROPS_AFTER or len(set(came)) != 1:
        raise Broken(
            'a receipt answered "invalid"', "the same bytes three times in all", f"{len(came)} times"
        )


@rule("receipt-batch", RECEIPTS, "At most eight receipts in one request")
def batch(bench: TerminalBench) -> None:
    """Up to twelve are waiting, for at first we do not take any."""
    server = bench.paired()
    server.tokens.clear()
    server.interrupt("receipts", *[problem("unavailable", retry_after=1)] * 4)
    for _ in range(12):
        server.enqueue(_forged(bench))
    for _ in range(3):
        bench.round()
        del server.tokens[:4]
    server.tokens.clear()
    bench.round(3)
    most = max(len(strict_json(asked.body)["receipts"]) for asked in server.asked("receipts"))
    if most > RECEIPTS_PER_POST:
        raise Broken("twelve tokens to report", "eight receipts in one request at most", str(most))


@rule("receipt-genuine", RECEIPTS, "Every receipt is a rekey-receipt+jwt of this terminal, in the right form")
def genuine(bench: TerminalBench) -> None:
    """Looked up in all receipts so far."""
    bench.paired()
    receipts = {item for item, _ in bench.server.posted}
    ours = set().union(*bench.server.receipt_bytes.values()) if bench.server.receipt_bytes else set()
    strange = [item for item in receipts - ours if bench.server.take(item)["r"] == "invalid"]
    if len(strange) > bench.strangers:
        raise Broken("the protocol", "receipts that can be verified and read", f"{len(strange)} that cannot")


@rule("receipt-signed-on", RECEIPTS, "The first sign-on with a new password is reported, once")
def signed_on(bench: TerminalBench) -> None:
    """By the names of the token that set it."""
    server = bench.paired()
    password, token = bench.fresh_password(), ""
    token = bench.token(password=password)
    applied = bench.judged("that sets a password", token, "applied")
    bench.password = password
    for _ in range(2):
        bench.hands.act("signon", bench.operator, password)
        bench.round()
    said = [claims for claims in server.said_of(applied["tok"]) if claims["st"] == "signed_on"]
    if len(said) != 1 or said[0]["cid"] != applied["cid"]:
        found = ", ".join(outcome(claims) for claims in server.said_of(applied["tok"]))
        raise Broken(told("whose password signed on twice", token), "one receipt with st signed_on", found)
