"""Rules about polls. Those that need a command ask the server's owner for one."""

from __future__ import annotations

import threading
import time
from typing import Any

from terminals import jose
from terminals.claims import CommandClaims, parse_command, parse_sealed
from terminals.conformance.calling import Heard
from terminals.conformance.rules import COMMAND, POLL, Book, Broken, CannotTell, shortened
from terminals.conformance.server_rules.bench import ServerBench
from terminals.headers import parse_dictionary
from terminals.protocol import LIFETIME, SKEW, TOKENS_PER_POLL, TYP_COMMAND, ProtocolError

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule
# Seconds between a command and the answer to a poll that was held for it; a worker signs it meanwhile.
PATIENCE = 15


def _empty(bench: ServerBench) -> None:
    """Raises CannotTell if something waits already."""
    bench.paired()
    if bench.token or bench.poll(what="to see whether the queue is empty").status == 200:
        raise CannotTell("something waits for this terminal; it needs an empty queue")


@rule("poll-empty", POLL, "An empty queue is 204 and nothing else")
def empty(bench: ServerBench) -> None:
    """No body, no ETag."""
    _empty(bench)
    answer = bench.poll(what="with nothing waiting").wanted(204)
    if answer.raw or answer.headers.get("etag"):
        raise answer.broken("204 without body and without ETag", f"{answer.shown} {dict(answer.headers)}")


@rule("poll-pace", POLL, "Rekey-Poll says how often to ask, as an RFC 9651 dictionary")
def pace(bench: ServerBench) -> None:
    """interval, jitter and wait, all whole numbers."""
    bench.paired()
    answer = bench.poll(what="for its Rekey-Poll")
    members = parse_dictionary(answer.headers.get("rekey-poll", "")) or {}
    for name, low, high in (("interval", 3, 3600), ("jitter", 0, 3600), ("wait", 0, 55)):
        value = members.get(name)
        if type(value) is not int or not low <= value <= high:
            raise answer.broken(f"Rekey-Poll with {name} from {low} to {high}", str(dict(members)))


@rule(
    "poll-query", POLL, "A query that is no number is malformed, too large a number is taken as the largest"
)
def query(bench: ServerBench) -> None:
    """Wait and max."""
    bench.paired()
    bench.poll("wait=soon").wanted(400, "malformed")
    bench.poll("wait=0&max=-1").wanted(400, "malformed")
    answer = bench.poll("wait=0&max=99")
    if answer.status not in (200, 204):
        raise answer.broken("200 or 204")


@rule("poll-telemetry", POLL, "Rekey-Telemetry never decides anything, however broken")
def telemetry(bench: ServerBench) -> None:
    """Nonsense, and far too long."""
    bench.paired()
    before = bench.poll(what="without telemetry").status
    for text in ("((((", "x=" + "1" * 400, 'pv=1, fw="4.2.1", bat=83'):
        answer = bench.poll(what=f"with Rekey-Telemetry: {text[:30]}", rekey_telemetry=text)
        answer.wanted(before)


@rule("poll-held", POLL, "wait holds the answer while the queue stays as it is", slow=True)
def held(bench: ServerBench) -> None:
    """One second, with nothing to give."""
    _empty(bench)
    answer = bench.poll("wait=1&max=4", what="with nothing waiting").wanted(204)
    if not 0.9 <= answer.seconds <= 6:
        raise answer.broken("an answer after about one second", f"after {answer.seconds:.2f} s")


@rule("poll-stale-etag", POLL, "An empty queue differs from any ETag: the answer is not held")
def stale(bench: ServerBench) -> None:
    """With an ETag of something that is gone."""
    _empty(bench)
    answer = bench.poll("wait=5&max=4", what="If-None-Match of an old answer", if_none_match='"gone"')
    answer.wanted(204)
    if answer.seconds > 2:
        raise answer.broken("204 at once", f"204 after {answer.seconds:.2f} s")


@rule("poll-wakes", POLL, "A held poll is answered when a command is issued")
def wakes(bench: ServerBench) -> None:
    """The owner issues one while the poll is held."""
    _empty(bench)
    bench.owner.need("reset")
    found: list[Heard | Broken] = []

    def ask() -> None:
        try:
            found.append(bench.poll("wait=50&max=4", what="held while the owner issues a command"))
        except Broken as broken:
            found.append(broken)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    time.sleep(0.3)
    bench.owner.act("reset", bench.unit.tid, "03")
    issued = time.monotonic()
    asking.join()
    if isinstance(found[0], Broken):
        raise found[0]
    answer = found[0].wanted(200)
    if time.monotonic() - issued > PATIENCE:
        raise answer.broken("an answer within seconds of the command", f"after {answer.seconds:.1f} s")


@rule("poll-tokens", POLL, "200 carries an ETag and up to four tokens in ascending order")
def tokens(bench: ServerBench) -> None:
    """Their numbers rise."""
    bench.command()
    answer = bench.poll(what="with a command waiting").wanted(200)
    given, more = answer.body.get("tokens"), answer.body.get("more")
    if not isinstance(given, list) or not 1 <= len(given) <= TOKENS_PER_POLL or type(more) is not bool:
        raise answer.broken("tokens (one to four) and more (true or false)")
    numbers = [_claims(bench, answer, token).seq for token in given]
    if numbers != sorted(set(numbers)):
        raise answer.broken("ascending seq", str(numbers))
    if not answer.headers.get("etag"):
        raise answer.broken("an ETag", "none")


@rule("poll-304", POLL, "The same ETag is 304 while the queue stays as it is")
def not_modified(bench: ServerBench) -> None:
    """And 200 again without it."""
    bench.command()
    first = bench.poll(what="with a command waiting").wanted(200)
    etag = first.headers.get("etag", "")
    again = bench.poll(what=f"If-None-Match: {etag}", if_none_match=etag).wanted(304)
    if again.raw:
        raise again.broken("304 without a body")
    bench.poll(what="without If-None-Match").wanted(200)


@rule("poll-fast", POLL, "While a command waits, fast_until is in the future")
def fast(bench: ServerBench) -> None:
    """So that its receipt comes soon."""
    bench.command()
    answer = bench.poll(what="with a command waiting")
    members = parse_dictionary(answer.headers.get("rekey-poll", "")) or {}
    until = members.get("fast_until")
    if type(until) is not int or until <= bench.unit.now():
        raise answer.broken("Rekey-Poll with a fast_until in the future", str(dict(members)))


def _claims(bench: ServerBench, answer: Heard, token: Any) -> CommandClaims:
    try:
        return parse_command(jose.verify(token, TYP_COMMAND, bench.issuer_keys()))
    except (jose.JoseError, ProtocolError, TypeError) as error:
        expected = "a rekey-cmd+jwt by a key of the keyset, with all claims of the right form"
        raise answer.broken(expected, f"{error}: {shortened(str(token))}") from None


@rule("token-signed", COMMAND, "A token is signed by a key of the keyset that may sign this command")
def signed(bench: ServerBench) -> None:
    """Inside its window."""
    token = bench.command()
    answer, keyset = bench.heard[-1], bench.keyset
    claims = _claims(bench, answer, token)
    kid = jose.read(token, TYP_COMMAND).kid
    entry = next((key for key in keyset.keys if jose.kid16(key.jwk) == kid), None) if keyset else None
    now = bench.unit.now()
    if entry is None or claims.cmd not in entry.cmds or not entry.nbf - SKEW <= now <= entry.exp + SKEW:
        raise answer.broken(f"a key that may sign {claims.cmd} now", f"kid {kid}: {entry}")


@rule("token-addressed", COMMAND, "A token names its issuer, this terminal and its present key")
def addressed(bench: ServerBench) -> None:
    """iss, aud, jkt."""
    claims = _claims(bench, bench.heard[-1], bench.command())
    wanted = (bench.origin, bench.unit.tid, jose.kid16(bench.unit.sign_key))
    if (claims.iss, claims.aud, claims.jkt) != wanted:
        found = f"{claims.iss}, {claims.aud}, {claims.jkt}"
        raise bench.heard[-1].broken("iss, aud, jkt = " + ", ".join(wanted), found)


@rule("token-times", COMMAND, "A token is of now and lives no longer than its kind may")
def times(bench: ServerBench) -> None:
    """Iat and exp."""
    claims = _claims(bench, bench.heard[-1], bench.command())
    most, now = LIFETIME.get(claims.cmd, 0), bench.unit.now()
    if claims.iat > now + SKEW or claims.exp <= now or claims.exp - claims.iat > most:
        expected = f"iat until now, exp in the future, at most {most} s apart"
        raise bench.heard[-1].broken(expected, f"iat {claims.iat}, exp {claims.exp}, now {now}")


@rule("token-sealed", COMMAND, "The sealed part opens, and says inside what the claims say outside")
def sealed(bench: ServerBench) -> None:
    """cid, aud, op; bound to cid."""
    token = bench.command()
    claims = _claims(bench, bench.heard[-1], token)
    if claims.sealed is None:
        raise CannotTell("the command that the owner issued has no sealed part")
    try:
        opened = parse_sealed(jose.open_sealed(claims.sealed, bench.unit.open_key, claims.cid))
    except (jose.JoseError, ProtocolError):
        expected = "a JWE to our X25519 key with exactly alg, enc, kid, epk, apv = base64url(cid)"
        raise bench.heard[-1].broken(expected, shortened(claims.sealed)) from None
    if (opened.cid, opened.aud, opened.op) != (claims.cid, claims.aud, claims.op):
        found = f"{opened.cid}, {opened.aud}, {opened.op}"
        raise bench.heard[-1].broken(f"{claims.cid}, {claims.aud}, {claims.op} inside", found)
