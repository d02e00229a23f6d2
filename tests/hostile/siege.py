"""Somebody with many addresses who wants texts sent: to whom they like, for whom they like, and at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import F, Q
from django.test import Client

from portal.messaging import outbox
from portal.models import Merchant, Message
from recovery import tasks
from recovery.models import Recovery

TOGETHER = 4
ADDRESSES = 1500
SHUT = "+18765550000"
STRANGERS = "+8613900001111"


@dataclass
class Siege:
    """Waves of requests, each sent at once by as many threads; behind each wave the workers, as many."""

    merchants: Sequence[Merchant]
    seed: int
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    open: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._pool = ThreadPoolExecutor(TOGETHER)

    def wave(self) -> None:
        """So many requests at once, and whatever the workers then have to do."""
        acts = [self._act() for _ in range(TOGETHER)]
        self._together(lambda act: act(), acts)
        self.sent += len(acts)
        self.work()

    def work(self) -> None:
        """Every worker takes what waits, and each message is offered to two of them."""
        owed = Q(state="proving", texts_settled__lt=F("challenge__sends"))
        waiting = Recovery.objects.filter(Q(state="started") | owed)
        self._together(tasks.resolve, list(waiting.values_list("pk", flat=True)))
        queued = list(Message.objects.filter(state="queued").values_list("pk", flat=True))
        self._together(outbox.deliver, queued * 2)

    def _together(self, do: Callable[[Any], object], with_each: Iterable[Any]) -> None:
        def alone(one: Any) -> None:
            try:
                do(one)
            finally:
                connection.close()

        list(self._pool.map(alone, with_each))

    def _act(self) -> Callable[[], None]:
        """Mostly the beginning of a journey; sometimes more of one that is under way."""
        kind = self._dice.choices(["begin", "resend", "call", "guess"], [7, 1, 1, 1])[0]
        if kind == "begin" or not self.open:
            return self._begin()
        client = self._dice.choice(self.open[-200:])
        path, typed = {
            "resend": ("/code/resend", {}),
            "call": ("/code/call", {}),
            "guess": ("/code", {"code": f"{self._dice.randrange(10**6):06}"}),
        }[kind]

        def act() -> None:
            self.answers[f"{kind} {client.post(path, typed).status_code}"] += 1

        return act

    def _begin(self) -> Callable[[], None]:
        merchant = self._dice.choice(self.merchants)
        phone = self._dice.choices([merchant.phone, STRANGERS, SHUT], [8, 1, 1])[0]
        block = self._dice.randrange(ADDRESSES)
        client = Client(REMOTE_ADDR=f"10.{block // 250}.{block % 250}.{self._dice.randrange(1, 250)}")

        def act() -> None:
            answer = client.post("/", {"shop": merchant.number, "phone": phone, "form": ""})
            self.answers[f"begin {answer.status_code}"] += 1
            if settings.RECOVERY_COOKIE_NAME in client.cookies:
                self.open.append(client)

        return act

    def end(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()
