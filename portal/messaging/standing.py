"""How each gateway does: what it was handed, what became of it, how long that took, and its circuit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, cast

from django.db.models import Count, Q

from portal.messaging import circuits
from portal.messaging.carriers import in_use
from portal.models import Channel, Circuit, Message

State = Message.State
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAMPLE = 500  # of the newest reports, for the median
TAKEN = (State.ACCEPTED, State.SENT, State.DELIVERED, State.UNDELIVERED)
COUNTS = {
    "taken": Count("pk", filter=Q(state__in=TAKEN)),
    "delivered": Count("pk", filter=Q(state=State.DELIVERED)),
    "undelivered": Count("pk", filter=Q(state__in=(State.UNDELIVERED, State.FAILED))),
    "unknown": Count("pk", filter=Q(state=State.UNKNOWN)),
    "taken_over": Count("pk", filter=Q(generation__gt=0)),
    "codes": Count("pk", filter=Q(state__in=TAKEN, challenge__isnull=False)),
    "typed_back": Count("pk", filter=Q(state__in=TAKEN, challenge__used_at__isnull=False)),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One gateway in one channel over a while; `median_s` is from hand-over to the last report."""

    channel: str
    gateway: str
    counts: dict[str, int]
    median_s: float | None
    circuit: Circuit | None

    @property
    def channel_name(self) -> str:
        """The channel, for people."""
        return str(Channel(self.channel).label)

    @property
    def rests(self) -> bool:
        """Whether it is passed over just now."""
        return self.circuit is not None and self.circuit.stopped_at is not None

    @property
    def typed_back(self) -> int | None:
        """Per cent of its codes that somebody typed back; a gateway that lies about delivery shows here."""
        codes = self.counts.get("codes", 0)
        return round(100 * self.counts["typed_back"] / codes) if codes else None


def standings(now: datetime, length: timedelta) -> list[Standing]:
    """Every gateway that the settings name or that carried something in this while."""
    recent = Message.objects.filter(created_at__gt=now - length).exclude(gateway="")
    grouped = cast(
        "Iterable[dict[str, Any]]", recent.order_by().values("channel", "gateway").annotate(**COUNTS)
    )
    found = {(row["channel"], row["gateway"]): {name: row[name] for name in COUNTS} for row in grouped}
    stopped = {circuit.name: circuit for circuit in Circuit.objects.all()}
    return [
        Standing(
            channel=channel,
            gateway=gateway,
            counts=found.get((channel, gateway), dict.fromkeys(COUNTS, 0)),
            median_s=_median(now, length, channel, gateway),
            circuit=stopped.get(circuits.name_of(channel, gateway)),
        )
        for channel, gateway in dict.fromkeys([*in_use(), *sorted(found)])
    ]


def _median(now: datetime, length: timedelta, channel: str, gateway: str) -> float | None:
    reported = Message.objects.filter(
        created_at__gt=now - length,
        channel=channel,
        gateway=gateway,
        state__in=(State.DELIVERED, State.UNDELIVERED),
        accepted_at__isnull=False,
        settled_at__isnull=False,
    )
    newest = reported.order_by("-created_at").values_list("accepted_at", "settled_at")[:SAMPLE]
    took = [(settled - taken).total_seconds() for taken, settled in newest if taken and settled]
    return max(0.0, median(took)) if took else None
