"""Rules about what a terminal says of itself, and what somebody begins at it."""

from __future__ import annotations

from terminals import jose, ocra
from terminals.claims import parse_inventory, parse_keyroll, parse_possession, parse_recovery_start
from terminals.conformance.memory import problem
from terminals.conformance.rules import (
    INVENTORY,
    OFFLINE,
    PAIRING,
    RECOVERY,
    Book,
    Broken,
    CannotTell,
    shortened,
)
from terminals.conformance.terminal_rules.bench import TerminalBench, signer
from terminals.protocol import TYP_KEYROLL, TYP_POSSESSION, ProtocolError, strict_json

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule


# --- inventory --------------------------------------------------------------------------------------------


@rule("inventory-form", INVENTORY, "An inventory comes soon after pairing, in the right form")
def form(bench: TerminalBench) -> None:
    """Every one so far."""
    bench.paired()
    bench.round()
    found = bench.server.asked("inventory")
    if not found:
        raise Broken("some polls", "PUT inventory", "none")
    for request in found:
        try:
            parse_inventory(strict_json(request.body))
        except ProtocolError as error:
            said = shortened(request.body.decode("utf-8", "replace"))
            raise Broken("the protocol", "PUT inventory in the right form", f"{error}: {said}") from None


@rule("inventory-secrets", INVENTORY, "An inventory says nothing of passwords but whether they are weak")
def secrets(bench: TerminalBench) -> None:
    """Neither a member of such a name nor the password that we have set."""
    bench.paired()
    for request in bench.server.asked("inventory"):
        text = request.body.decode("utf-8", "replace").lower()
        named = [word for word in ("password", "hash", "$argon2", "secret", "pin") if f'"{word}' in text]
        if named or (bench.password and bench.password in text):
            raise Broken("the protocol", "an inventory without passwords and hashes", shortened(text))


@rule("inventory-rare", INVENTORY, "An inventory comes daily and on change, not with every poll")
def rare(bench: TerminalBench) -> None:
    """Four rounds in which nothing happens."""
    bench.paired().tokens.clear()
    bench.round(2)
    before = len(bench.server.asked("inventory"))
    bench.round(4)
    came = len(bench.server.asked("inventory")) - before
    if came > 1:
        raise Broken("four polls with nothing to do", "no inventory", f"{came} of them")


# --- key roll ---------------------------------------------------------------------------------------------


@rule("roll-request", PAIRING, "A key roll is signed by the old key and proves the new one")
def roll_request(bench: TerminalBench) -> None:
    """The first answer gets lost."""
    server = bench.paired()
    old = dict(server.sign_key)
    server.interrupt("keys/roll", problem("unavailable", retry_after=1))
    bench.hands.act("roll")
    bench.round(2)
    found = server.asked("keys/roll")
    if not found:
        raise Broken("a key roll, begun at the machine", "POST keys/roll", "nothing")
    try:
        raw = jose.verify(found[-1].body, TYP_KEYROLL, {jose.kid16(old): old}, algs=jose.TERMINAL_ALGS)
        said, _ = jose.verify_embedded(parse_keyroll(raw).proof, TYP_POSSESSION)
        proof = parse_possession(said)
    except (jose.JoseError, ProtocolError) as error:
        expected = "a rekey-keyroll+jwt by the old key with a rekey-pop+jwt by the new one"
        raise Broken("a key roll, begun at the machine", expected, str(error)) from None
    if proof.old != jose.kid16(old):
        raise Broken("a key roll, begun at the machine", f"old = {jose.kid16(old)}", proof.old)


@rule("roll-done", PAIRING, "A key roll survives a lost answer; then the new key is used")
def roll_done(bench: TerminalBench) -> None:
    """Until its first request under the new key."""
    server = bench.paired()
    found = server.asked("keys/roll")
    if not found:
        raise CannotTell("no key roll was begun at the machine")
    bench.round(3)
    signers = {signer(one.bearer) for one, _ in server.gate[-2:]}
    old = signer(found[0].bearer)
    if len(found) < 2:
        raise Broken("503 to a key roll", "the key roll again", "nothing")
    if server.rolling or old in signers:
        raise Broken("a key roll that was taken", "requests under the new key", "requests under the old one")
    bench.judged("for the new key", bench.token(), "applied")


# --- recovery at the terminal -----------------------------------------------------------------------------


@rule("recovery-request", RECOVERY, "Somebody who forgot a password at the machine begins a recovery")
def recovery(bench: TerminalBench) -> None:
    """For the operator of this run."""
    server = bench.paired()
    bench.hands.act("forgot", bench.operator)
    bench.round(2)
    found = server.asked("recoveries")
    if not found:
        raise Broken("a forgotten password at the machine", "POST recoveries", "nothing")
    try:
        op = parse_recovery_start(strict_json(found[-1].body))
    except ProtocolError as error:
        raise Broken("a forgotten password at the machine", '{"op": two digits}', str(error)) from None
    if op != bench.operator:
        raise Broken("a forgotten password at the machine", f"op {bench.operator}", f"op {op}")


@rule("recovery-followed", RECOVERY, "The terminal asks how it stands until it is over, then no more")
def followed(bench: TerminalBench) -> None:
    """Pending, then denied."""
    server = bench.paired()
    if not server.recoveries:
        raise CannotTell("no recovery was begun at the machine")
    rid = list(server.recoveries)[-1]
    bench.round(2)
    if not server.asked(f"recoveries/{rid}"):
        raise Broken("a recovery that is pending", f"GET recoveries/{rid}", "nothing")
    server.recoveries[rid]["state"] = "denied"
    bench.round(2)
    before = len(server.asked(f"recoveries/{rid}"))
    bench.round(2)
    if len(server.asked(f"recoveries/{rid}")) > before:
        raise Broken("a recovery that was denied", "no further question about it", "it asks on")


# --- offline unlock ---------------------------------------------------------------------------------------


def _question(bench: TerminalBench) -> str:
    text = bench.hands.act("question", bench.operator)
    question = ocra.read_question(text)
    if question is None:
        raise Broken("an offline unlock, begun at the machine", "ten digits", text or "nothing")
    return question


def _answer(bench: TerminalBench, question: str, counter: int, operator: str = "") -> str:
    session = ocra.session_of(bench.server.tid, operator or bench.operator)
    return ocra.response(bench.server.offline_key, counter, question, session)


@rule("offline-question", OFFLINE, "A question has its counter and a check digit, and the next has the next")
def question(bench: TerminalBench) -> None:
    """Two of them."""
    bench.paired()
    one, two = _question(bench), _question(bench)
    for text in (one, two):
        if ocra.is_slip(text):
            raise Broken("an offline unlock, begun at the machine", "a right Damm digit at the end", text)
    if (int(two[:2]) - int(one[:2])) % ocra.COUNTER_MOD != 1 or one[2:9] == two[2:9]:
        expected = "a counter that is one higher, and other random digits"
        raise Broken("two offline unlocks, begun at the machine", expected, f"{one}, {two}")


@rule("offline-answer", OFFLINE, "The right answer, and no other, allows one new password; it is reported")
def answer(bench: TerminalBench) -> None:
    """An answer for another operator, then the right one."""
    server = bench.paired()
    text = _question(bench)
    counter = ocra.rebuild_counter(text, 0) or 0
    password = bench.fresh_password()
    other = _answer(bench, text, counter, "99" if bench.operator != "99" else "00")
    if bench.hands.act("answer", bench.operator, other, password).lower() in ("ok", "yes"):
        raise Broken("the answer for another operator", "it is refused", "it was taken")
    right = _answer(bench, text, counter)
    if bench.hands.act("answer", bench.operator, right, password).lower() not in ("ok", "yes", ""):
        raise Broken(f"the right answer, {right}", "it is taken", "it was refused")
    bench.password = password
    bench.round(2)
    tok = jose.digest(text)
    said = [claims for claims in server.receipts.values() if claims.get("sub") == "offline"]
    if [(claims["tok"], claims.get("oc")) for claims in said] != [(tok, counter)]:
        expected = f'one receipt with sub "offline", oc {counter} and the hash of the ten digits'
        raise Broken("an offline unlock that was used", expected, shortened(str(said)))
