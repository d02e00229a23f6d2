"""The server in this very thread: what stands behind its doors, without frames, threads or an event loop.

The poll is asked of the parts that it is made of: bearers that are remembered and evicted by the news, the
inbox, the rows when that cannot be trusted, and the notes of what was handed over, which are written down a
moment later. `link.Server` goes through the doors themselves, at ten times the price.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Status

from terminals import authentication, commands, delivery, inbox
from terminals.api import enrollment, inventory, keysets, receipts
from terminals.inbox import Contents
from terminals.polling import answers, seen
from terminals.polling.bearers import BearerCache, Caller
from terminals.problems import refuse
from terminals.protocol import ProtocolError
from terminals.simulator.transport import _Raw
from tests.machine.link import Request

DOORS: Final[Mapping[str, Callable[..., Any]]] = {
    "enroll": enrollment.enroll,
    "enroll/confirm": enrollment.confirm,
    "keys/roll": enrollment.roll,
    "receipts": receipts.post_receipts,
    "inventory": inventory.put_inventory,
}
# As `terminals.polling.notes`.
NOTED_AFTER_S: Final = 0.3


class Inside:
    """Answers as `link.Server` does."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bearers = BearerCache()
        self._fetched: list[tuple[datetime, list[str]]] = []
        self._news = "0-0"
        self._generation: str | None = None

    def serve(self, request: Request) -> _Raw:
        """One request, answered."""
        sent = time.time()
        self.write_notes()
        try:
            status, headers, body = self._answer(request)
        except ProtocolError as error:
            status, headers, body = _plain(refuse(HttpRequest(), error))
        self.statuses.append(status)
        return _Raw(status, headers, body, sent, time.time())

    def write_notes(self) -> None:
        """What was handed over a moment ago is on record by now."""
        due = [note for note in self._fetched if (timezone.now() - note[0]).total_seconds() >= NOTED_AFTER_S]
        self._fetched = [note for note in self._fetched if note not in due]
        for at, jtis in due:
            commands.mark_fetched(jtis, at)

    def hear(self) -> None:
        """All news that there are by now, as a process that listens has heard them."""
        told: Any = inbox.client().xread({inbox.NEWS: self._news}, count=1000)
        for self._news, news in told[0][1] if told else ():
            if inbox.EVICT in news:
                self.bearers.evict(news[inbox.EVICT])

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        path, _, query = request.path.partition("?")
        if path == "commands":
            return self._poll(request, answers.question_of(query.encode()).most)
        if path.startswith("keysets/"):
            return _plain(keysets.get_keyset(HttpRequest(), int(path.removeprefix("keysets/"))))
        return _plain(DOORS[path](_asked(request)))

    def _poll(self, request: Request, most: int) -> tuple[int, dict[str, str], bytes]:
        caller = self._caller(request.headers["Authorization"])
        early = caller.meter.early(time.time())
        if early:
            raise ProtocolError("slow_down", retry_after=early)
        contents = self._contents(caller.terminal_id)
        pace = caller.interval, answers.fast_until(contents, time.time()), False
        if contents.items:
            etag = request.headers.get("If-None-Match", "").encode()
            answer = answers.something(contents, most, etag, pace)
            self._fetched.append((timezone.now(), [item.jti for item in contents.items[:most]]))
        else:
            answer = answers.nothing(*pace)
        told = request.headers.get("Rekey-Telemetry", "").encode()
        note = seen.written(time.time(), answer.status, told)
        inbox.client().hset(seen.SHEET, caller.terminal_id, note.decode())
        return answer.status, {name.decode(): value.decode() for name, value in answer.headers}, answer.body

    def _caller(self, header: str) -> Caller:
        self.hear()
        known = self.bearers.get(header.encode(), time.time())
        if known is None:
            age, unread = self.bearers.age, authentication.peek(header)
            owner = authentication.owners_of([unread.kid]).get(unread.kid)
            bearer = authentication.prove(unread, owner, time.time())
            assert owner is not None
            if owner.standing == authentication.ROLLING:
                authentication.take_over(owner)
            known = self.bearers.put(header.encode(), bearer, owner, _refusal(bearer), age)
        if known.refusal is not None:
            raise known.refusal
        return known.caller

    def _contents(self, terminal_id: str) -> Contents:
        contents = inbox.read(terminal_id)
        if contents.trusted:
            return contents
        # The stream of news went with the inboxes.
        self.bearers.clear()
        self._news = "0-0"
        return Contents(tuple(delivery.waiting_for(terminal_id)), trusted=True)


def _refusal(bearer: authentication.Bearer) -> ProtocolError | None:
    try:
        authentication.admit(bearer)
    except ProtocolError as error:
        return error
    return None


def _asked(request: Request) -> HttpRequest:
    asked, body = HttpRequest(), request.body or b""
    asked.method = request.method
    asked.META = {"REMOTE_ADDR": "192.0.2.1", "CONTENT_LENGTH": str(len(body))}
    asked.META |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in request.headers.items()}
    asked._body = body
    return asked


def _plain(answer: Any) -> tuple[int, dict[str, str], bytes]:
    if isinstance(answer, HttpResponse):
        headers = {name.lower(): value for name, value in answer.items()}
        return answer.status_code, headers, answer.content
    status, value = (answer.status_code, answer.value) if isinstance(answer, Status) else (200, answer)
    body = b"" if value is None else json.dumps(value).encode()
    return status, {"content-type": "application/json"}, body
