"""Rules about a recovery that starts at the terminal."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from terminals.conformance.rules import RECOVERY, Book
from terminals.conformance.server_rules.bench import ServerBench
from terminals.pairing import ALPHABET
from terminals.protocol import is_id

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule

_CODE = re.compile(rf"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


@rule("recovery-start", RECOVERY, "POST recoveries gives what the screen shows")
def start(bench: ServerBench) -> None:
    """And the match number is in no address."""
    bench.paired()
    answer = bench.ask("POST", "recoveries", {"op": "03"}, what="for operator 03").wanted(201)
    body = answer.body
    if not is_id(body.get("rid"), "rec"):
        raise answer.broken("rid (rec_…)")
    code, match = str(body.get("user_code")), str(body.get("match"))
    if not _CODE.fullmatch(code) or not re.fullmatch("[0-9]{2}", match):
        raise answer.broken("user_code such as BCDF-GHJK and match of two digits")
    if type(body.get("expires_in")) is not int or type(body.get("interval")) is not int:
        raise answer.broken("expires_in and interval in seconds")
    whole, short = (str(body.get(name, "")) for name in ("verification_uri_complete", "verification_uri"))
    if not whole.startswith("http") or not short.startswith("http"):
        raise answer.broken("verification_uri and verification_uri_complete")
    parts = urlsplit(whole)
    if re.search(rf"(?<![0-9]){match}(?![0-9])", f"{parts.path}?{parts.query}#{parts.fragment}"):
        raise answer.broken("an address without the match number", whole)


@rule("recovery-state", RECOVERY, "GET recoveries/{rid} says how it stands, to this terminal only")
def state(bench: ServerBench) -> None:
    """Pending; and one that does not exist."""
    bench.paired()
    answer = bench.ask("POST", "recoveries", {"op": "03"}, what="for operator 03").wanted(201)
    rid = str(answer.body.get("rid"))
    found = bench.ask("GET", f"recoveries/{rid}", what="just started").wanted(200)
    if found.body.get("state") != "pending":
        raise found.broken('"state": "pending"')
    bench.ask("GET", f"recoveries/rec_{'Z' * 16}", what="one that does not exist").wanted(404, "not_found")


@rule("recovery-malformed", RECOVERY, "An operator number has two digits")
def malformed(bench: ServerBench) -> None:
    """One digit, a number, nothing."""
    bench.paired()
    for body in ({"op": "3"}, {"op": 3}, {}):
        bench.ask("POST", "recoveries", body, what=str(body)).wanted(400, "malformed")


@rule("recovery-limit", RECOVERY, "Three an hour for one terminal, then slow_down with Retry-After")
def limit(bench: ServerBench) -> None:
    """The fourth at the latest."""
    bench.paired()
    for count in range(3, 6):
        answer = bench.ask("POST", "recoveries", {"op": "03"}, what=f"number {count} within minutes")
        if answer.status == 429:
            break
    answer.wanted(429, "slow_down")
    if not answer.headers.get("retry-after", "").isdigit():
        raise answer.broken("a Retry-After in seconds", answer.headers.get("retry-after", "none"))
