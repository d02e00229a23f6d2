"""Rules about how a terminal pairs, and pairs again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from terminals import jose, pairing
from terminals.claims import parse_enroll
from terminals.conformance.memory import Request, problem
from terminals.conformance.rules import PAIRING, Book, Broken, CannotTell, shortened
from terminals.conformance.terminal_rules.bench import TerminalBench
from terminals.protocol import SKEW, TYP_ENROLL, TYP_KEYSET, ProtocolError

BOOK: Book[TerminalBench] = Book()
rule = BOOK.rule
OFF = 3 * 3600


def _enrollments(bench: TerminalBench) -> list[Request]:
    found = bench.server.asked("enroll")
    if not found:
        raise CannotTell("the terminal has not asked to be paired")
    return found


@rule("pair-request", PAIRING, "The request is a rekey-enroll+jwt by the new key, sent as application/jose")
def request(bench: TerminalBench) -> None:
    """The terminal's clock is off for us, and the first answer to its confirmation is a failure of ours."""
    bench.server.clock_offset = OFF
    bench.server.interrupt("enroll/confirm", problem("unavailable", retry_after=1))
    bench.subject.pair(bench.qr)
    first = _enrollments(bench)[0]
    try:
        jose.verify_embedded(first.body, TYP_ENROLL)
    except jose.JoseError as error:
        expected = "a JWS with exactly alg, typ, jwk in its header, signed by that sound key"
        raise Broken(
            "a pairing code", expected, f"{error}: {shortened(first.body.decode('latin-1'))}"
        ) from None
    content = first.headers.get("content-type", "")
    if content.partition(";")[0] != "application/jose":
        raise Broken("a pairing code", "Content-Type: application/jose", content or "none")


@rule("pair-claims", PAIRING, "The request names this server and the code, and lives 300 s at most")
def claims(bench: TerminalBench) -> None:
    """All required claims, of the right form."""
    body = _enrollments(bench)[0].body
    raw, _ = jose.verify_embedded(body, TYP_ENROLL)
    try:
        said = parse_enroll(raw)
        jose.validate_public_key(said.enc, jose.SEAL)
    except (ProtocolError, jose.JoseError) as error:
        raise Broken("a pairing code", "all claims of an enrollment", f"{error}: {shortened(raw)}") from None
    if said.aud != bench.server.audience:
        raise Broken("a pairing code", f"aud {bench.server.audience}", said.aud)
    if pairing.normalise(said.code) != pairing.normalise(bench.server.code):
        raise Broken("a pairing code", "that code", said.code)


@rule("pair-clock", PAIRING, "After clock_skew the terminal asks once more, at the time it was told")
def clock(bench: TerminalBench) -> None:
    """Our clock is three hours ahead."""
    found = _enrollments(bench)
    if len(found) < 2:
        expected = "another request, made with server_time"
        raise Broken("401 clock_skew with server_time to an enrollment", expected, "no second request")
    raw, _ = jose.verify_embedded(found[1].body, TYP_ENROLL)
    if abs(int(raw["iat"]) - bench.server.now()) > SKEW:
        expected = f"iat near {bench.server.now()}"
        raise Broken("401 clock_skew with server_time to an enrollment", expected, f"iat {raw['iat']}")


@rule("pair-confirm", PAIRING, "The terminal opens the challenge and returns its nonce, again if need be")
def confirm(bench: TerminalBench) -> None:
    """The first answer was 503."""
    if not (bench.server.pending or bench.server.active):
        raise CannotTell("no enrollment was accepted")
    for _ in range(3):
        if bench.server.active:
            break
        bench.round()
    tried = len(bench.server.asked("enroll/confirm"))
    if not bench.server.active:
        expected = "POST enroll/confirm with the nonce, repeated after the failure"
        raise Broken("a challenge, then 503 to the confirmation", expected, f"{tried} confirmations")


@contextmanager
def _offered_again(bench: TerminalBench) -> Iterator[None]:
    """Another code is alive meanwhile; afterwards no half pairing of ours is left over."""
    server = bench.paired()
    server.code, server.code_used, server.failures = "CDF-GHJ-KLM", False, 0
    try:
        yield
    finally:
        server.pending = None
        server.false_keyset = server.false_binding = ""


def _refuses(bench: TerminalBench, what: str) -> None:
    """Raises Broken if the terminal confirms what it was offered, or leaves its old key for it."""
    before = len(bench.server.asked("enroll/confirm"))
    bench.hands.act("pair", bench.qr)
    bench.round()
    if len(bench.server.asked("enroll/confirm")) > before:
        raise Broken(f"an enrollment answered with {what}", "no confirmation", "POST enroll/confirm")


@rule("pair-wrong-root", PAIRING, "A keyset whose root is not the QR's is refused: nothing is confirmed")
def wrong_root(bench: TerminalBench) -> None:
    """Sound in itself, but by another root."""
    with _offered_again(bench):
        stranger = jose.generate_key(jose.SIGN)
        false = bench.server.keyset(1, roots=[jose.public_jwk(stranger)])
        bench.server.false_keyset = jose.sign(false, TYP_KEYSET, stranger)
        _refuses(bench, "a keyset by another root than the one in the QR")


@rule("pair-wrong-issuer", PAIRING, "A keyset of another server is refused")
def wrong_issuer(bench: TerminalBench) -> None:
    """Signed by the right root."""
    with _offered_again(bench):
        false = bench.server.keyset(1, iss="https://elsewhere.example")
        bench.server.false_keyset = jose.sign(false, TYP_KEYSET, bench.server.root)
        _refuses(bench, "a keyset whose iss is another server")


@rule("pair-broken-challenge", PAIRING, "A challenge that does not open is refused")
def broken_challenge(bench: TerminalBench) -> None:
    """Bound to another terminal."""
    with _offered_again(bench):
        bench.server.false_binding = "trm_" + "Z" * 16
        _refuses(bench, "a challenge that is bound to another tid")


@rule("pair-again", PAIRING, "Pairing again makes new keys and begins again at number 1")
def again(bench: TerminalBench) -> None:
    """The same terminal record."""
    with _offered_again(bench):
        server, old = bench.server, jose.kid16(bench.server.sign_key)
        bench.hands.act("pair", bench.qr)
        bench.round()
        if jose.kid16(server.sign_key) == old:
            expected = "an enrollment with a new key, and its confirmation"
            raise Broken("another pairing code", expected, "the old key is still in force")
        server.seq = 0
    bench.judged("with seq 1 after pairing again", bench.token(seq=1), "applied")
    bench.server.seq = max(bench.server.seq, 1)
