"""Rows for the desk's lists: half a year of shops, terminals, recoveries, messages, cases and events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from portal.audit import Tag
from portal.models import AuditEvent, Challenge, Merchant, Message, Store
from recovery.models import Recovery, Ticket, TicketEntry
from terminals.models import Command, Terminal, TerminalModel, TerminalStatus

CHUNK = 4000
SPAN_S = 180 * 86_400
DOORS = ("browser", "browser", "browser", "terminal", "owner", "support")
STEPS = ("code", "choose", "refused", "waiting", "done", "tamper", "")
WORDS = (
    "收不到短信",
    "主管密码忘了",
    "换了手机号",
    "终端不联网",
    "店里有人等着",
    "新来的收银员",
    "小票打不出来",
)
TAGS = tuple(Tag)


class Sizes(NamedTuple):
    """How many of each there are."""

    shops: int
    terminals: int
    recoveries: int
    tickets: int
    events: int


class Filler:
    """Makes the rows of an installation that has run for half a year; the same ones each time."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.chance = random.Random(20261125)
        self.now = timezone.now()

    def fill(self) -> None:
        """All of them, each table after those that it refers to; then the database counts them."""
        sizes, model = self.sizes, TerminalModel.objects.create(vendor="Rekey", name="RK-BENCH")
        _make(Merchant, sizes.shops, self._shop)
        self.shops = list(Merchant.objects.values_list("pk", flat=True))
        _make(Store, sizes.shops, lambda n: Store(merchant_id=self.shops[n], name=f"店 {n}"))
        self.stores = list(Store.objects.order_by("pk").values_list("pk", flat=True))
        _make(Terminal, sizes.terminals, lambda n: self._terminal(n, model))
        self.terminals = list(Terminal.objects.values_list("pk", flat=True))
        _make(TerminalStatus, sizes.terminals, self._status)
        _make(Challenge, sizes.recoveries, self._challenge)
        self.challenges = list(Challenge.objects.values_list("pk", "created_at"))
        _make(Command, sizes.recoveries, self._command)
        self.commands = list(Command.objects.values_list("pk", "terminal_id"))
        _make(Recovery, sizes.recoveries, self._recovery)
        self.recoveries = list(Recovery.objects.values_list("pk", flat=True))
        _make(Message, 3 * sizes.recoveries, self._message)
        _make(Ticket, sizes.tickets, self._ticket)
        self.tickets = list(Ticket.objects.values_list("pk", "created_at"))
        _make(TicketEntry, 3 * sizes.tickets, self._entry)
        _make(AuditEvent, sizes.events, self._event)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def _at(self) -> datetime:
        return self.now - timedelta(seconds=self.chance.randrange(SPAN_S))

    def _shop(self, n: int) -> Merchant:
        return Merchant(number=f"{898:03}{n:012}", legal_name=f"{self.chance.choice(WORDS)[:2]}小店{n}")

    def _terminal(self, n: int, model: TerminalModel) -> Terminal:
        store = self.stores[n % len(self.stores)]
        facts = {"number": f"B{n:07}", "serial": f"B{n:07}", "name": "前台", "state": Terminal.State.ACTIVE}
        return Terminal(store_id=store, model=model, **facts)

    def _status(self, n: int) -> TerminalStatus:
        seen = self.now - timedelta(seconds=self.chance.randrange(86_400))
        return TerminalStatus(terminal_id=self.terminals[n], last_seen_at=seen)

    def _challenge(self, n: int) -> Challenge:
        at, attempts = self._at(), self.chance.choice((0, 0, 0, 1, 5))
        life = at + timedelta(minutes=10)
        facts: dict[str, Any] = {"created_at": at, "expires_at": life, "attempts": attempts}
        return Challenge(purpose="recovery", subject=f"bench:{n}", **facts)

    def _command(self, n: int) -> Command:
        at, facts = self.challenges[n][1], dict[str, Any]()
        facts |= {
            "kind": "set_credential",
            "operator_number": "03",
            "state": "applied",
            "requested_by": "bench",
        }
        facts |= {
            "created_at": at,
            "finished_at": at,
            "expires_at": at,
            "signed_on_at": at if n % 3 else None,
        }
        return Command(terminal_id=self.chance.choice(self.terminals), **facts)

    def _recovery(self, n: int) -> Recovery:
        challenge, at = self.challenges[n]
        command, terminal = self.commands[n]
        facts: dict[str, Any] = {
            "created_at": at,
            "expires_at": at + timedelta(minutes=30),
            "identifier": "b",
        }
        facts |= {"challenge_id": challenge, "browser_digest": f"bench{n}", "number": f"{n:09}"}
        luck = self.chance.random()
        if luck > 0.1:
            facts["merchant_id"] = self.chance.choice(self.shops)
        if luck > 0.25:
            facts["proved_at"] = at
        if luck > 0.35:
            facts |= {"terminal_id": terminal, "operator_number": "03", "dispatched_at": at}
        if luck <= 0.4:
            return Recovery(state="failed" if luck > 0.35 else "abandoned", **facts)
        done = at + timedelta(seconds=self.chance.lognormvariate(5, 1))
        door = self.chance.choice(DOORS)
        return Recovery(state="done", door=door, command_id=command, finished_at=done, **facts)

    def _message(self, n: int) -> Message:
        challenge, at = self.challenges[n // 3]
        state = self.chance.choice(("delivered",) * 18 + ("undelivered", "unknown"))
        facts: dict[str, Any] = {"created_at": at, "tries": 1, "cost_milli": 45, "state": state}
        carried = {"template": "applied" if n % 3 else "code", "gateway": "aliyun" if n % 5 else "twilio"}
        return Message(challenge_id=None if n % 3 else challenge, **carried, **facts)

    def _ticket(self, n: int) -> Ticket:
        at, words, closed = self._at(), self.chance.choice(WORDS), self.chance.random() < 0.95
        facts: dict[str, Any] = {"created_at": at, "number": f"T{n:08}", "subject": words}
        if self.chance.random() < 0.7:
            facts |= {"merchant_id": self.chance.choice(self.shops), "recovery_id": self.recoveries[n]}
        if closed:
            facts |= {
                "state": "closed",
                "closed_at": at + timedelta(seconds=self.chance.lognormvariate(9, 1)),
            }
        return Ticket(
            step=self.chance.choice(STEPS), priority=self.chance.choice((1, 2, 3, 3, 3, 4)), **facts
        )

    def _entry(self, n: int) -> TicketEntry:
        ticket, at = self.tickets[n // 3]
        moment = at + timedelta(seconds=self.chance.lognormvariate(7, 1))
        author = ("merchant", "staff", "staff")[n % 3]
        text = " ".join(self.chance.choices(WORDS, k=4))
        return TicketEntry(ticket_id=ticket, at=moment, author=author, text=text, internal=n % 6 == 1)

    def _event(self, n: int) -> AuditEvent:
        about = self.chance.choice(self.recoveries)
        facts: dict[str, Any] = {"at": self._at(), "tag": self.chance.choice(TAGS).value, "subject": about}
        return AuditEvent(actor="bench", merchant_id=self.chance.choice(self.shops), **facts)


def _make(model: Any, count: int, one: Callable[[int], Any]) -> None:
    rows: Iterator[Any] = map(one, range(count))
    while batch := list(islice(rows, CHUNK)):
        model.objects.bulk_create(batch)
