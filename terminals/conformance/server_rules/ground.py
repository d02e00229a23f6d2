"""Rules that hold at every door: headers, refusals, sizes, strict JSON."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import Final

from terminals.conformance.rules import GROUND, Book
from terminals.conformance.server_rules.bench import INVENTORY, ServerBench
from terminals.protocol import BODY_MAX, INT_MAX

BOOK: Book[ServerBench] = Book()
rule = BOOK.rule

_TEXT: Final = json.dumps({"inventory": INVENTORY})
# Each is the good inventory, broken in one way that two parsers might read differently.
BROKEN: Final = {
    "a repeated member": _TEXT[:-1] + ', "inventory": {}}',
    "a fraction": _TEXT[:-1] + ', "x": 1.5}',
    "NaN": _TEXT[:-1] + ', "x": NaN}',
    "1e400": _TEXT[:-1] + ', "x": 1e400}',
    "-0": _TEXT[:-1] + ', "x": -0}',
    "a number over 2^53-1": _TEXT[:-1] + f', "x": {INT_MAX + 1}}}',
    "nesting of five": _TEXT[:-1] + ', "x": {"a": {"b": {"c": {}}}}}',
    "a byte order mark": "\ufeff" + _TEXT,
    "bytes after the end": _TEXT + "x",
    "an array on top": "[]",
    "nothing": "",
}


@rule("json-strict", GROUND, "JSON that two parsers could read differently is malformed")
def strict(bench: ServerBench) -> None:
    """Each way on its own, as the body of an inventory."""
    bench.paired()
    for what, text in BROKEN.items():
        bench.tell_inventory(text, what=f"an inventory with {what}").wanted(400, "malformed")


@rule("json-unknown-members", GROUND, "Members that nobody knows are ignored")
def unknown_members(bench: ServerBench) -> None:
    """One on top and one inside."""
    bench.paired()
    inventory = {"inventory": {**INVENTORY, "colour": "blue"}, "more": {"a": [1]}}
    bench.tell_inventory(inventory, what="with members nobody knows").wanted(204)


@rule("body-too-large", GROUND, "A body over 32 KiB is too large")
def too_large(bench: ServerBench) -> None:
    """One byte over, at two doors."""
    bench.paired()
    body = "x" * (BODY_MAX + 1)
    for method, path in (("PUT", "inventory"), ("POST", "receipts")):
        answer = bench.ask(method, path, body, what=f"a body of {len(body)} bytes")
        answer.wanted(413, "too_large")


@rule("not-found", GROUND, "What is not there is a problem too")
def not_found(bench: ServerBench) -> None:
    """A path that does not exist."""
    bench.paired()
    bench.ask("GET", "nowhere").wanted(404, "not_found")


@rule("method", GROUND, "A method that is not served is refused as such")
def method(bench: ServerBench) -> None:
    """DELETE where there is nothing to delete."""
    bench.paired()
    bench.ask("DELETE", "receipts").wanted(405, "method_not_allowed")


@rule("headers", GROUND, "Every answer has Date and Rekey-Trace, and no-store (keysets excepted)")
def headers(bench: ServerBench) -> None:
    """Looked up in every answer so far."""
    for answer in bench.heard:
        keyset = answer.status == 200 and "/keysets/" in answer.question
        for name in ("date", "rekey-trace"):
            if not answer.headers.get(name):
                raise answer.broken(f"the header {name}", f"{answer.status} without it")
        if not keyset and "no-store" not in answer.headers.get("cache-control", ""):
            found = answer.headers.get("cache-control", "none")
            raise answer.broken("Cache-Control: no-store", f"{answer.status} with Cache-Control {found}")
        try:
            parsedate_to_datetime(answer.headers["date"])
        except ValueError:
            raise answer.broken("a Date by RFC 9110", answer.headers["date"]) from None


@rule("problems", GROUND, "A refusal is application/problem+json with all members, and says its own trace")
def problems(bench: ServerBench) -> None:
    """Looked up in every refusal so far."""
    wanted = {"type": str, "title": str, "status": int, "code": str, "retryable": bool, "trace": str}
    for answer in bench.heard:
        if answer.status < 400:
            continue
        content = answer.headers.get("content-type", "").partition(";")[0]
        if content != "application/problem+json":
            raise answer.broken("Content-Type: application/problem+json", content or "none")
        for name, kind in wanted.items():
            if type(answer.body.get(name)) is not kind:
                raise answer.broken(f"the member {name} ({kind.__name__})", answer.shown)
        if answer.body["status"] != answer.status or answer.body["trace"] != answer.headers["rekey-trace"]:
            raise answer.broken("status and trace as in the answer itself", answer.shown)


@rule("nothing-leaks", GROUND, "No answer repeats a bearer, a code or a password")
def nothing_leaks(bench: ServerBench) -> None:
    """Looked up in every refusal so far."""
    code = re.sub(r"[^A-Za-z0-9]", "", bench.code).upper()
    for answer in bench.heard:
        text = answer.raw.decode("utf-8", "replace") if answer.status >= 400 else ""
        if "eyJ" in text or (code and code in re.sub(r"[^A-Za-z0-9]", "", text).upper()):
            raise answer.broken("a refusal without secrets", answer.shown)
