"""Rules about tokens that a terminal must carry out, once, and report."""

from __future__ import annotations

from typing import Any

from terminals import jose
from terminals.conformance.rules import COMMAND, GUARDED, Book, Broken, CannotTell
from terminals.conformance.terminal_rules.bench import TerminalBench, outcome, told
from terminals.protocol import LOCK, MESSAGE, REBOOT, TYP_COMMAND, UNLOCK, VOID, new_id

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule


def _signs_on(bench: TerminalBench, password: str) -> bool:
    return bench.hands.act("signon", bench.operator, password).lower() in ("ok", "yes", "")


@rule("apply", COMMAND, "A sealed password is applied")
def apply(bench: TerminalBench) -> None:
    """For the operator of this run."""
    bench.paired()
    password = bench.fresh_password()
    bench.judged("that sets a password", bench.token(password=password), "applied")
    bench.password = password


@rule("apply-in-force", COMMAND, "The password that was sent is in force, and the one before is not")
def in_force(bench: TerminalBench) -> None:
    """Somebody signs on."""
    bench.paired()
    old, new = bench.password, bench.fresh_password()
    bench.judged("that sets a password", bench.token(password=new), "applied")
    bench.password = new
    if old and _signs_on(bench, old):
        raise Broken("applied for another password", "the old one is refused", "it still signs on")
    if not _signs_on(bench, new):
        raise Broken("applied for this password", "it signs on", "it does not")
    bench.round()


@rule("apply-unknown-claims", COMMAND, "Claims that nobody knows are ignored")
def unknown_claims(bench: TerminalBench) -> None:
    """One text, one object."""
    bench.paired()
    bench.judged("with claims nobody knows", bench.token(colour="blue", more={"a": 1}), "applied")


@rule("apply-jump", COMMAND, "Numbers may be skipped")
def jump(bench: TerminalBench) -> None:
    """A hundred of them."""
    server = bench.paired()
    bench.judged("a hundred numbers on", bench.token(seq=server.seq + 100), "applied")


@rule("apply-tolerance", COMMAND, "Clocks may differ by two minutes")
def tolerance(bench: TerminalBench) -> None:
    """Ended 90 s ago; made 90 s ahead."""
    now = bench.paired().now()
    bench.judged("that ended 90 s ago", bench.token(iat=now - 1000, exp=now - 90), "applied")
    bench.judged("made 90 s ahead", bench.token(iat=now + 90, exp=now + 900), "applied")


@rule("apply-repeated", COMMAND, "The same token again gets the same receipt, byte for byte")
def repeated(bench: TerminalBench) -> None:
    """And it is not carried out again."""
    server = bench.paired()
    token = bench.token()
    said = bench.judged("offered twice", token, "applied")
    first = next(iter(server.receipt_bytes[said["jti"]]))
    bench.round()
    posted, receipts = len(server.posted), len(server.receipts)
    server.enqueue(token, jose._strict(jose.unb64u(token.split(".")[1])))
    bench.round(2)
    server.tokens.clear()
    again = [item for item, _ in server.posted[posted:]]
    if not again or set(again) != {first} or len(server.receipts) != receipts:
        found = "nothing" if not again else f"{len(again)} receipts, other bytes"
        raise Broken(told("offered again after its receipt", token), "the receipt's very bytes", found)


@rule("apply-reissued", COMMAND, "A command that was carried out is only reported when it is issued again")
def reissued(bench: TerminalBench) -> None:
    """The same cid in a new token, with another password inside: the first one stays."""
    bench.paired()
    cid, first, second = new_id("cmd"), bench.fresh_password(), bench.fresh_password()
    bench.judged("the first time", bench.token(cid=cid, password=first), "applied")
    bench.password = first
    bench.judged("issued again under the same cid", bench.token(cid=cid, password=second), "applied")
    try:
        kept = _signs_on(bench, first)
    except CannotTell:
        return
    if not kept:
        raise Broken("the same cid again, another password inside", "the first one stays", "it was replaced")
    bench.round()


@rule("apply-choose", COMMAND, "choose is answered applied when the screen is open")
def choose(bench: TerminalBench) -> None:
    """Nobody uses it here."""
    bench.paired()
    token = bench.token(password=None, args={"choose": True})
    bench.judged("that opens the screen to choose a password", token, "applied")


@rule("apply-lock", COMMAND, "lock and unlock are applied")
def lock(bench: TerminalBench) -> None:
    """For the operator of this run."""
    bench.able(LOCK)
    bench.able(UNLOCK)
    for cmd in (LOCK, UNLOCK):
        bench.judged(f"to {cmd} an operator", bench.token(cmd=cmd, op=bench.operator), "applied")


@rule("apply-message", COMMAND, "message is applied; one with control characters is malformed")
def message(bench: TerminalBench) -> None:
    """The text for the idle screen."""
    bench.able(MESSAGE)
    bench.judged("with a text to show", bench.token(cmd=MESSAGE, args={"text": "Hotline 400 800"}), "applied")
    escape = bench.token(cmd=MESSAGE, args={"text": "\x1b[2J"})
    bench.judged("with an escape sequence to show", escape, "rejected", "malformed")


@rule("apply-void", COMMAND, "void is applied even for what the terminal never saw")
def void(bench: TerminalBench) -> None:
    """Somebody else's command."""
    bench.able(VOID)
    bench.judged("that voids an unknown cid", bench.token(cmd=VOID, args={"ref": new_id("cmd")}), "applied")


@rule("busy", COMMAND, "While a sale runs a token is deferred, and nothing changes")
def busy(bench: TerminalBench) -> None:
    """Then the same token is applied."""
    server = bench.paired()
    bench.hands.act("busy", "on")
    token, mark = bench.token(), server.seq
    try:
        said = bench.judged("during a sale", token, "deferred", "busy")
        expected = f"retry in seconds, and hwm still {mark}"
        if type(said.get("retry")) is not int or said["hwm"] != mark:
            raise Broken(
                told("during a sale", token), expected, f"retry {said.get('retry')}, hwm {said['hwm']}"
            )
    finally:
        bench.hands.act("busy", "off")
    bench.judged("that was deferred before, after the sale", token, "applied")


@rule("busy-stops", COMMAND, "A deferred token stops the rest of its batch")
def busy_stops(bench: TerminalBench) -> None:
    """Two tokens during a sale: the second is not touched."""
    server = bench.paired()
    server.tokens.clear()
    bench.hands.act("busy", "on")
    cids = [server.issue(op=bench.operator, password=bench.fresh_password()) for _ in range(2)]
    bench.round(2)
    found = [server.outcome(cid) for cid in cids]
    bench.hands.act("busy", "off")
    server.tokens.clear()
    if not found[0] or found[0][0] != "deferred busy" or found[1]:
        raise Broken("two tokens during a sale", "the first deferred, nothing about the second", str(found))
    server.seq += 2


@rule("void-overtakes", COMMAND, "A void overtakes a deferred command, which is then out of turn")
def overtakes(bench: TerminalBench) -> None:
    """The deferred token comes once more, after the void."""
    server = bench.paired()
    bench.able(VOID)
    bench.hands.act("busy", "on")
    try:
        token = bench.token()
        bench.judged("during a sale", token, "deferred", "busy")
        claims = jose._strict(jose.unb64u(token.split(".")[1]))
        voided: Any = {"cmd": VOID, "args": {"ref": claims["cid"]}, "seq": claims["seq"] + 1}
        bench.judged("that voids it", bench.token(**voided), "applied")
    finally:
        bench.hands.act("busy", "off")
    said = bench.send(token)
    server.tokens.clear()
    if said and (said[0]["st"], said[0].get("rc")) != ("rejected", "seq_replayed"):
        raise Broken(told("after its void", token), "rejected seq_replayed", outcome(said[0]))
    if not said:
        raise Broken(told("after its void", token), "rejected seq_replayed", "no receipt")


@rule("reboot", GUARDED, "A restart is reported after it, and never carried out twice")
def reboot(bench: TerminalBench) -> None:
    """The same token again gets the same receipt."""
    server = bench.paired()
    bench.able(REBOOT)
    token = jose.sign(server.claims(REBOOT), TYP_COMMAND, server.rebooter)
    bench.skews += 1  # what it knew of our clock may have been in memory only
    said = bench.send(token, rounds=4)
    if not said or said[0]["st"] != "applied":
        raise Broken(
            told("to restart", token), "applied, after the restart", outcome(said[0]) if said else "nothing"
        )
    bench.round()
    posted = len(server.posted)
    server.enqueue(token, jose._strict(jose.unb64u(token.split(".")[1])))
    bench.round(2)
    server.tokens.clear()
    again = {item for item, _ in server.posted[posted:]}
    if again != server.receipt_bytes[said[0]["jti"]]:
        raise Broken(told("to restart, once more", token), "the receipt's very bytes", f"{len(again)} others")
