"""Rules about pairing, tried with a fresh pairing code."""

from __future__ import annotations

from typing import Any

from terminals import jose
from terminals.claims import parse_challenge, parse_keyset
from terminals.conformance.calling import Heard
from terminals.conformance.rules import PAIRING, Book, CannotTell, shortened
from terminals.conformance.server_rules.bench import ServerBench
from terminals.conformance.unit import Unit, forged
from terminals.pairing import ALPHABET, normalise
from terminals.protocol import ENROLL_MAX, TYP_AUTH, TYP_ENROLL, TYP_KEYSET, ProtocolError, is_id

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule

# The neutral point: OpenSSL verifies one and the same signature under it for every message.
SMALL = {"kty": "OKP", "crv": "Ed25519", "x": jose.b64u(bytes([1, *bytes(31)]))}
ZERO = {"kty": "OKP", "crv": "X25519", "x": jose.b64u(bytes(32))}


def _same_body(one: Heard, other: Heard) -> bool:
    """Whether two refusals differ in nothing but the trace."""
    left, right = ({k: v for k, v in heard.body.items() if k != "trace"} for heard in (one, other))
    return (one.status, left) == (other.status, right)


@rule("enroll-header", PAIRING, "An enrollment whose header is not exactly alg, typ, jwk is malformed")
def header(bench: ServerBench) -> None:
    """A member more, a member exchanged, another type, no algorithm."""
    unit = bench.unit
    good = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": jose.public_jwk(unit.sign_key)}
    changes: dict[str, dict[str, Any]] = {
        "with a kid beside the key": {"kid": jose.kid16(unit.sign_key)},
        "with b64 false": {"b64": False, "crit": ["b64"]},
        "with the type of a bearer": {"typ": TYP_AUTH},
        "with alg none": {"alg": "none"},
        "with the private key in the header": {"jwk": unit.sign_key},
    }
    for what, change in changes.items():
        token = forged({**good, **change}, unit.enroll_claims(bench.code), unit.sign_key)
        bench.enroll(token, f"an enrollment {what}").wanted(400, "malformed")


@rule("enroll-sound-keys", PAIRING, "Keys of small order are refused before anything else")
def sound_keys(bench: ServerBench) -> None:
    """A signing key under which any signature holds; an opening key that gives no secret."""
    unit = bench.unit
    head = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": SMALL}
    claims = forged(head, unit.enroll_claims(bench.code), unit.sign_key).rpartition(".")[0]
    universal = jose.b64u(bytes([1, *bytes(63)]))
    bench.enroll(f"{claims}.{universal}", "a signing key of small order").wanted(400, "malformed")
    zero = unit.enroll(bench.code, enc=ZERO)
    bench.enroll(zero, "an opening key of low order").wanted(400, "malformed")


@rule("enroll-signature", PAIRING, "An enrollment must be signed by the key in its header")
def signature(bench: ServerBench) -> None:
    """Signed by somebody else."""
    head = {"alg": "Ed25519", "typ": TYP_ENROLL, "jwk": jose.public_jwk(bench.unit.sign_key)}
    token = forged(head, bench.unit.enroll_claims(bench.code), jose.generate_key(jose.SIGN))
    bench.enroll(token, "an enrollment signed by another key").wanted(400, "malformed")


@rule("enroll-claims", PAIRING, "An enrollment lives 300 s at most and is meant for this server")
def claims(bench: ServerBench) -> None:
    """Too long, for elsewhere, without a code."""
    unit = bench.unit
    changes: dict[str, dict[str, Any]] = {
        "that lives 301 s": {"exp": unit.now() + 301, "iat": unit.now()},
        "for another server": {"aud": "https://elsewhere.example/terminal/v1"},
        "without a code": {"code": None},
        "without an opening key": {"enc": None},
    }
    for what, change in changes.items():
        bench.enroll(unit.enroll(bench.code, **change), f"an enrollment {what}").wanted(400, "malformed")


@rule("enroll-size", PAIRING, "An enrollment over 4 KiB is too large")
def size(bench: ServerBench) -> None:
    """Five kilobytes."""
    token = bench.unit.enroll(bench.code, fw="4" * 5 * 1024)
    answer = bench.enroll(token, f"an enrollment of {len(token)} bytes, {ENROLL_MAX} are allowed")
    answer.wanted(413, "too_large")


@rule("enroll-clock", PAIRING, "A clock that is off is told the time, and it costs no try")
def clock(bench: ServerBench) -> None:
    """Three hours ahead; the same code is still good afterwards (rule enroll-accepts)."""
    now = bench.unit.now()
    token = bench.unit.enroll(bench.code, iat=now + 10_800, exp=now + 11_100)
    answer = bench.enroll(token, "an enrollment made three hours ahead").wanted(401, "clock_skew")
    told = answer.body.get("server_time")
    if not isinstance(told, int):
        raise answer.broken("server_time in Unix seconds")
    bench.unit.offset += told - now


@rule("enroll-identical", PAIRING, "Whatever is wrong with a code, the answer is the same")
def identical(bench: ServerBench) -> None:
    """A wrong secret, an unknown look-up part, no code at all."""
    parsed = normalise(bench.code)
    letters = parsed is not None and not parsed.is_digits
    shown = parsed.shown() if parsed and letters else "BCD-FGH-JKL"
    other = ALPHABET[(ALPHABET.index(shown[-1]) + 1) % len(ALPHABET)]
    answers = [
        bench.enroll(bench.unit.enroll(code), what).wanted(401, "pairing_failed")
        for code, what in (
            (shown[:-1] + other, "the last symbol of the code wrong"),
            ("ZZZ-ZZZ-ZZZ", "a code nobody was given"),
            ("hello", "no code at all"),
        )
    ]
    for answer in answers[1:]:
        if not _same_body(answers[0], answer):
            raise answer.broken(f"the very answer of the first wrong code: {answers[0].shown}")


@rule("enroll-accepts", PAIRING, "A good enrollment is answered 201 with tid, keyset and challenge")
def accepts(bench: ServerBench) -> None:
    """The code in lower case and without hyphens, as people type it."""
    typed = bench.code.replace("-", "").lower()
    answer = bench.enroll(bench.unit.enroll(typed), "a good enrollment, the code in lower case").wanted(201)
    tid, keyset, challenge = (answer.body.get(name) for name in ("tid", "keyset", "challenge"))
    if not is_id(tid, "trm") or not isinstance(keyset, str) or not isinstance(challenge, str):
        raise answer.broken("tid (trm_…), keyset (a JWS) and challenge (a JWE)")
    bench.unit.tid, bench.keyset_token = str(tid), keyset
    try:
        opened = jose.open_sealed(challenge, bench.unit.open_key, bench.unit.tid)
        bench.unit.nonce = parse_challenge(opened).nonce
    except (jose.JoseError, ProtocolError):
        wanted = "a challenge that opens with our X25519 key and apv = base64url(tid): nonce, offline_key"
        raise answer.broken(wanted, shortened(challenge)) from None


@rule("enroll-keyset", PAIRING, "The keyset is signed by a root of its own, the one in the QR")
def keyset(bench: ServerBench) -> None:
    """And it is of this server."""
    if not bench.keyset_token:
        raise CannotTell("the pairing has not succeeded")
    said = shortened(bench.keyset_token)
    try:
        raw, root = jose.verify_self_vouched(bench.keyset_token, TYP_KEYSET, "roots")
        bench.keyset = parse_keyset(raw)
    except (jose.JoseError, ProtocolError) as error:
        expected = "a rekey-keyset+jwt signed by one of its own roots"
        raise bench.heard[-1].broken(expected, f"{error}: {said}") from None
    bench.roots = bench.keyset.roots
    if bench.keyset.iss != bench.origin:
        raise bench.heard[-1].broken(f"iss {bench.origin}", f"iss {bench.keyset.iss}")
    if bench.root and jose.thumbprint(root) != bench.root:
        raise bench.heard[-1].broken(f"a root with the QR's thumbprint {bench.root}", jose.thumbprint(root))


@rule("unconfirmed", PAIRING, "Before the confirmation nothing but the confirmation is served")
def unconfirmed(bench: ServerBench) -> None:
    """Polls and receipts of the pending key."""
    if not bench.unit.nonce:
        raise CannotTell("the pairing has not succeeded")
    bench.poll(what="by a key that is not confirmed yet").wanted(403, "unconfirmed")
    answer = bench.ask("POST", "receipts", {"receipts": ["a.b.c"]}, what="by a key that is not confirmed yet")
    answer.wanted(403, "unconfirmed")


@rule("confirm-nonce", PAIRING, "Only the nonce that was sealed confirms the keys")
def wrong_nonce(bench: ServerBench) -> None:
    """Sixteen other bytes, and no bytes."""
    if not bench.unit.nonce:
        raise CannotTell("the pairing has not succeeded")
    wrong = {"nonce": jose.b64u(b"\xa5" * 16)}
    bench.ask("POST", "enroll/confirm", wrong, what="another nonce").wanted(409, "conflict")
    short = {"nonce": jose.b64u(b"\xa5" * 8)}
    bench.ask("POST", "enroll/confirm", short, what="a nonce of 8 bytes").wanted(400, "malformed")


@rule("confirm-repeatable", PAIRING, "The confirmation makes the terminal active, and may be repeated")
def confirm(bench: ServerBench) -> None:
    """As after a lost answer."""
    if not bench.unit.nonce:
        raise CannotTell("the pairing has not succeeded")
    for what in ("the nonce", "the nonce again, as if the answer had been lost"):
        answer = bench.ask("POST", "enroll/confirm", {"nonce": bench.unit.nonce}, what=what).wanted(200)
        bench.confirmed = True
        if answer.body.get("state") != "active":
            raise answer.broken('200 {"state": "active"}')


@rule("code-once", PAIRING, "A code pairs one terminal: used again it is as wrong as any other")
def once(bench: ServerBench) -> None:
    """The same code, new keys."""
    bench.paired()
    other = Unit(bench.origin, offset=bench.unit.offset)
    bench.enroll(other.enroll(bench.code), "the code that was used already").wanted(401, "pairing_failed")


@rule("code-burns", PAIRING, "Five wrong secrets burn a code")
def burns(bench: ServerBench) -> None:
    """Needs another code from the owner."""
    bench.paired()
    code = bench.owner.act("pairing-code", bench.unit.tid)
    parsed = normalise(code.split("|")[1] if "|" in code else code)
    if parsed is None or parsed.is_digits:
        raise CannotTell("the owner gave no code of nine letters")
    other, shown = Unit(bench.origin, offset=bench.unit.offset), parsed.shown()
    wrong = shown[:-1] + ALPHABET[(ALPHABET.index(shown[-1]) + 1) % len(ALPHABET)]
    for count in range(1, 6):
        bench.enroll(other.enroll(wrong), f"wrong secret number {count}").wanted(401, "pairing_failed")
    answer = bench.enroll(other.enroll(shown), "the right code after five wrong secrets")
    answer.wanted(401, "pairing_failed")


@rule("key-in-use", PAIRING, "A key that is registered already is not registered again")
def key_in_use(bench: ServerBench) -> None:
    """Needs another code from the owner; this one is not used up."""
    bench.paired()
    code = bench.owner.act("pairing-code", bench.unit.tid)
    code = code.split("|")[1] if "|" in code else code
    token = bench.unit.enroll(code)
    bench.enroll(token, "a fresh code with the keys that are in force").wanted(409, "key_in_use")
