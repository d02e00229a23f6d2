"""Rules about bearers and polls: who asks, how often, and what a failure may not lead to."""

from __future__ import annotations

from typing import Any, Final

from terminals import jose
from terminals.conformance.memory import PACE, Reply, problem
from terminals.conformance.rules import POLL, WHO, Book, Broken
from terminals.conformance.terminal_rules.bench import TerminalBench, signer
from terminals.headers import parse_dictionary
from terminals.protocol import TELEMETRY_MAX, TOKENS_PER_POLL, WAIT_MAX

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule
# What a busy machine may need on top, and between which waits a clock sees no difference, in seconds.
WORK: Final = 4
SAME: Final = 0.05
# Interval and jitter where nobody said another, and once an hour and a bit.
STANDARD: Final = 75
SLOWEST: Final = 3700
HTML = Reply(200, "<html><title>Welcome to our Wi-Fi</title></html>", {"Content-Type": "text/html"})
TWICE = Reply(200, '{"tokens": [], "tokens": [], "more": false}', {"Content-Type": "application/json"})


# --- bearers ----------------------------------------------------------------------------------------------


@rule("bearer-reused", WHO, "One bearer is used again until shortly before its end")
def reused(bench: TerminalBench) -> None:
    """Two rounds."""
    bench.paired()
    before = len(bench.server.gate)
    bench.round(2)
    tokens = {request.bearer for request, _ in bench.server.gate[before:]}
    if len(tokens) > 1:
        raise Broken("nothing special, for two polls", "one and the same bearer", f"{len(tokens)} bearers")


@rule("bearer-clock-moves", WHO, "After clock_skew the terminal asks again at once, at the time it was told")
def clock_moves(bench: TerminalBench) -> None:
    """Our clock jumps an hour ahead."""
    server = bench.paired()
    bench.round()
    server.clock_offset += 3600
    bench.skews += 1
    before = len(server.gate)
    bench.round()
    found = [result for _, result in server.gate[before:]]
    if found[:2] != ["clock_skew", "ok"]:
        expected = "the request again with a bearer of the right time"
        raise Broken("401 clock_skew with server_time", expected, f"then: {', '.join(found[:4])}")


@rule("bearer-refused", WHO, "After invalid_auth the terminal makes a fresh bearer, and forgets nothing")
def refused(bench: TerminalBench) -> None:
    """Once."""
    server = bench.paired()
    bench.round()
    last, kid = server.gate[-1][0].bearer, jose.kid16(server.sign_key)
    enrolled = len(server.asked("enroll"))
    server.interrupt("commands", problem("invalid_auth"))
    bench.round(2)
    fresh = [request.bearer for request, result in server.gate if result == "ok"][-1]
    if fresh == last or signer(fresh) != kid:
        found = "the same bearer" if fresh == last else "another key"
        raise Broken("401 invalid_auth, once", "a fresh bearer by the same key", found)
    if len(server.asked("enroll")) > enrolled:
        raise Broken("401 invalid_auth, once", "no new pairing", "POST enroll")


@rule("bearer-form", WHO, "Every bearer is genuine, for this server, and lives 600 s at most")
def form(bench: TerminalBench) -> None:
    """Looked up in all requests so far."""
    bench.paired()
    wrong = [request for request, result in bench.server.gate if result == "invalid_auth"]
    if len(wrong) > bench.strangers:
        found = f"{len(wrong)} requests with another, the first: {wrong[0].method} {wrong[0].path}"
        raise Broken("the protocol", "a rekey-auth+jwt of the terminal with every request", found)


@rule("bearer-timely", WHO, "Every bearer is in force when it comes")
def timely(bench: TerminalBench) -> None:
    """Looked up in all requests so far; only our own jumps of the clock are forgiven."""
    bench.paired()
    wrong = [request for request, result in bench.server.gate if result == "clock_skew"]
    if len(wrong) > bench.skews:
        found = f"{len(wrong)} that were not, {bench.skews} of them because our clock had jumped"
        raise Broken("the protocol", "bearers of the right time", found)


# --- polls ------------------------------------------------------------------------------------------------


@rule("poll-request", POLL, "A poll is GET commands with wait 0 to 55 and max 1 to 4")
def request(bench: TerminalBench) -> None:
    """Looked up in all polls so far."""
    bench.paired()
    bench.round()
    for poll in bench.server.asked("commands"):
        wait, most = poll.query.get("wait", "0"), poll.query.get("max", "4")
        sound = (
            wait.isdigit() and most.isdigit() and int(wait) <= WAIT_MAX and 1 <= int(most) <= TOKENS_PER_POLL
        )
        if poll.method != "GET" or not sound:
            raise Broken(
                "the protocol", "GET commands?wait=0..55&max=1..4", f"{poll.method} {dict(poll.query)}"
            )


@rule("poll-telemetry", POLL, "Rekey-Telemetry, if there is one, is a dictionary of 256 bytes at most")
def telemetry(bench: TerminalBench) -> None:
    """Looked up in all polls so far."""
    bench.paired()
    for poll in bench.server.asked("commands"):
        text = poll.headers.get("rekey-telemetry", "")
        if len(text) > TELEMETRY_MAX or parse_dictionary(text) is None:
            raise Broken("the protocol", "an RFC 9651 dictionary of 256 bytes at most", text)


@rule("poll-interval", POLL, "The terminal asks as often as Rekey-Poll says")
def interval(bench: TerminalBench) -> None:
    """Every seven seconds, no jitter."""
    server = bench.paired()
    usual = dict(server.pace)
    server.pace.update(interval=7, jitter=0)
    bench.round()
    pause = bench.pause()
    server.pace.update(usual)
    bench.round()
    if not 6.5 <= pause <= 7 + WORK:
        raise Broken(
            "Rekey-Poll: interval=7, jitter=0, wait=0", "the next poll after 7 s", f"after {pause:.1f} s"
        )


@rule("poll-fast", POLL, "Until fast_until the terminal asks every 3 s")
def fast(bench: TerminalBench) -> None:
    """Though the interval is longer."""
    server = bench.paired()
    usual = dict(server.pace)
    server.pace.update(interval=20, jitter=0)
    server.fast_until = server.now() + 120
    bench.round()
    pause = bench.pause()
    server.fast_until = None
    server.pace.update(usual)
    bench.round()
    if not 2 <= pause <= 3 + WORK:
        sent = "Rekey-Poll: interval=20, fast_until two minutes ahead"
        raise Broken(sent, "the next poll after 3 s", f"after {pause:.1f} s")


@rule("poll-broken-pace", POLL, "An unreadable Rekey-Poll neither hurries a terminal nor silences it")
def broken_pace(bench: TerminalBench) -> None:
    """The standard pace holds: an interval of 60 s and a jitter of 15 s, or less."""
    bench.paired().interrupt("commands", Reply(204, None, {"Rekey-Poll": "((interval=oops"}))
    pause = bench.pause(at_most=STANDARD + 2 * WORK)
    if not 2 <= pause <= STANDARD + WORK:
        expected = f"the next poll after 3 to {STANDARD} s"
        raise Broken("Rekey-Poll: ((interval=oops", expected, f"after {pause:.1f} s")


@rule("poll-etag", POLL, "The ETag of what the terminal holds comes back in If-None-Match")
def etag(bench: TerminalBench) -> None:
    """And a 304 leads to nothing."""
    server = bench.paired()
    server.tokens.clear()
    server.sticky = True
    server.enqueue(token := bench.token(), jose._strict(jose.unb64u(token.split(".")[1])))
    bench.round()
    server.seq += 1
    given, since = server.etag(TOKENS_PER_POLL), len(server.asked("commands"))
    bench.round()
    said = len(server.posted)
    bench.round(2)
    found = [poll.headers.get("if-none-match", "none") for poll in server.asked("commands")[since:]]
    server.sticky = False
    server.tokens.clear()
    if not found or found[0] != given:
        raise Broken(f"200 with ETag {given}", f"If-None-Match: {given} in the next poll", ", ".join(found))
    if len(server.posted) > said:
        raise Broken("304", "nothing to report", f"{len(server.posted) - said} more receipts")


@rule("poll-204", POLL, "After 204 the terminal forgets its ETag")
def forgets(bench: TerminalBench) -> None:
    """Nothing waits any more."""
    server = bench.paired()
    bench.send(bench.token())
    server.seq += 1
    bench.round()
    since = len(server.asked("commands"))
    bench.round(2)
    held = server.asked("commands")[since:][-1].headers.get("if-none-match")
    if held:
        raise Broken("204", "no If-None-Match in the poll after it", held)


@rule("poll-more", POLL, "more: true makes the terminal ask at once")
def more(bench: TerminalBench) -> None:
    """Five tokens, four at a time."""
    server = bench.paired()
    server.tokens.clear()
    for _ in range(5):
        server.issue(op=bench.operator, password=bench.fresh_password())
    server.pace.update(interval=45)
    pause = bench.pause()
    server.pace.update(PACE)
    bench.round(2)
    left = len(server.tokens)
    server.tokens.clear()
    if pause > 30 or left:
        raise Broken("200 with four tokens and more: true", "the next poll at once", f"after {pause:.1f} s")


@rule("poll-order", POLL, "Tokens are carried out in the order in which they come")
def order(bench: TerminalBench) -> None:
    """Three of them."""
    server = bench.paired()
    server.tokens.clear()
    cids = [server.issue(op=bench.operator, password=bench.fresh_password()) for _ in range(3)]
    bench.round(2)
    server.tokens.clear()
    said = [claims["cid"] for claims in server.receipts.values() if claims.get("cid") in cids]
    outcomes = [server.outcome(cid) for cid in cids]
    if said != cids or outcomes != [["applied"]] * 3:
        raise Broken("three tokens in one answer", f"applied, in this order: {cids}", f"{said}: {outcomes}")


def _after(bench: TerminalBench, reply: Reply) -> float:
    """The pause after this answer to a poll; then one round in peace."""
    server = bench.paired()
    bench.round()
    server.interrupt("commands", reply)
    pause = bench.pause()
    bench.round()
    return pause


@rule("poll-retry-after", POLL, "After 503 and 429 the terminal waits at least Retry-After")
def retry_after(bench: TerminalBench) -> None:
    """Sixteen seconds each, longer than any first step of a back-off can be."""
    for code in ("unavailable", "slow_down"):
        pause = _after(bench, problem(code, retry_after=16))
        if pause < 15.9:
            raise Broken(f"{code} with Retry-After: 16", "no poll for 16 s", f"a poll after {pause:.1f} s")


@rule("poll-back-off", POLL, "Without Retry-After the terminal backs off at random, 15 s at most at first")
def back_off(bench: TerminalBench) -> None:
    """The first failure of a row."""
    pauses: list[Any] = [_after(bench, Reply(503)) for _ in range(3)]
    if max(pauses) > 15 + WORK:
        raise Broken("503 without Retry-After", "the next poll within 15 s", f"after {max(pauses):.1f} s")
    if max(pauses) - min(pauses) < SAME:
        raise Broken("503 without Retry-After, three times", "waits that differ", str(pauses))


@rule("poll-no-answer", POLL, "What is no answer of ours is no answer: the terminal just asks again")
def no_answer(bench: TerminalBench) -> None:
    """A sign-in page of a network, and JSON with a member twice."""
    for sent, reply in (("200 with a web page", HTML), ("200 with a repeated member", TWICE)):
        pause = _after(bench, reply)
        asked = bench.server.gate[-1][1]
        if pause > 15 + WORK or asked != "ok":
            raise Broken(sent, "the next poll within 15 s", f"after {pause:.1f} s: {asked}")


@rule("poll-stands-by", POLL, "quarantined and revoked: ask slowly, keep everything", slow=True)
def stands_by(bench: TerminalBench) -> None:
    """Then it is welcome again, under the same key."""
    server = bench.paired()
    bench.round()
    kid = jose.kid16(server.sign_key)
    for code in ("quarantined", "revoked"):
        server.interrupt("commands", problem(code))
        pause = bench.pause(at_most=SLOWEST)
        if pause < 300:
            raise Broken(f"403 {code}", "the slowest pace", f"a poll after {pause:.0f} s")
        bench.round()
        asked = signer(server.gate[-1][0].bearer)
        if asked != kid or server.gate[-1][1] != "ok":
            raise Broken(f"403 {code}, once", "the same key afterwards", asked)


@rule("poll-keeps-memory", POLL, "No failure makes a terminal forget what it has seen")
def keeps_memory(bench: TerminalBench) -> None:
    """After all of the above an old number is still an old number, under the same key."""
    server = bench.paired()
    bench.judged("with a number that was used", bench.token(seq=1), "rejected", "seq_replayed")
    server.tokens.clear()
