"""What must hold, written down by hand from docs/gates.md: who proved what to whom, and what that may open.

It asks nobody of the product. It only knows what people typed, what letters said, and what time it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

HOUR, DAY = 3600.0, 86400.0
HOLD, CONFIRMED_FOR, FROZEN_FOR = 72 * HOUR, 90 * DAY, HOUR
CHANNELS: Final = {
    "sms": "phone", "voice": "phone", "email": "mail", "totp": "app", "passkey": "key",
    "recovery_code": "paper", "contact": "person", "possession": "till",
}  # fmt: skip
# By these one is let in; the others only stand beside one of them.
BY_ITSELF: Final = frozenset({"sms", "voice", "email", "totp", "passkey"})

BEFORE: Final = ("started", "proving")
CHOOSING: Final = ("proved", "setting")
OPEN: Final = (*BEFORE, *CHOOSING)
# From where to where a browser leads its own recovery, …
BY_BROWSER: Final = {
    # On to the password when the owner had said at home for whom.
    "proving": {"proved", "setting"},
    "proved": {"setting", "done", "abandoned"},
    "setting": {"proved", "dispatched", "done"},
    "dispatched": {"failed", "done"},
    "failed": {"setting"},
}
# … and what becomes of anybody's by the worker, the clock, the terminal or the staff.
BY_OTHERS: Final = {
    "started": {"proving", "abandoned", "escalated"},
    "proving": {"abandoned", "escalated"},
    "proved": {"abandoned", "escalated"},
    "setting": {"abandoned", "escalated"},
    "dispatched": {"done", "failed"},
    "failed": {"done"},
}


@dataclass(frozen=True)
class Given:
    """A proof as somebody gave it: how, by what, when, and whether texts were in doubt for that browser."""

    method: str
    by: str = ""
    half: bool = False


@dataclass
class Shop:
    """What is known of the shop besides its rows."""

    phone: str
    confirmed_at: float
    held_until: float = 0.0
    frozen_until: float = 0.0
    suspended: bool = False
    distrusted: bool = False
    # Addresses by id: until when each is held; and those that are gone.
    addresses: dict[str, float] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    paper: set[str] = field(default_factory=set)
    stopped_tills: set[str] = field(default_factory=set)


@dataclass
class Sitting:
    """One recovery, as those who sit at it know it; without a phone where something else was first."""

    phone: str
    mailbox: str = ""
    known: bool = False
    given: set[Given] = field(default_factory=set)


@dataclass
class Book:
    """Everything that is written down in one run."""

    shop: Shop
    sittings: dict[str, Sitting] = field(default_factory=dict)

    def may(self, recovery: str, *, number: str, till: str, at_screen: bool, now: float) -> str:
        """Why this operator may not be reset now; empty when it may."""
        shop, sitting = self.shop, self.sittings[recovery]
        against = {
            "maintenance is never reset": number == "99",
            "its phone is another one now": sitting.phone not in ("", shop.phone),
            "the shop is suspended": shop.suspended,
            "the shop is frozen": now < shop.frozen_until,
            "the terminal was stopped": till in shop.stopped_tills,
            "nobody stood at the terminal": at_screen and Given("possession", till) not in sitting.given,
        }
        if why := next((why for why, stands in against.items() if stands), ""):
            return why
        held = [
            (given, self._worth(sitting, given, till, strict=number == "00", now=now))
            for given in sitting.given
        ]
        return "" if _enough(held, strict=number == "00") else f"not enough: {held}"

    def _worth(self, sitting: Sitting, given: Given, till: str, *, strict: bool, now: float) -> int:
        """Two for a whole proof, one for half of one, nothing for what is gone or held."""
        shop, method = self.shop, given.method
        if method in ("email", "contact"):
            gone = given.by in shop.gone
            return 0 if gone or (strict and now < shop.addresses.get(given.by, 0)) else 2
        if method == "possession":
            return 2 if given.by == till else 0
        if method not in ("sms", "voice"):
            return 2
        if strict and now < shop.held_until:
            return 0
        stale = strict and now - shop.confirmed_at >= CONFIRMED_FOR
        doubted = given.half or (shop.distrusted and not sitting.known)
        return 1 if stale or doubted else 2


def _enough(held: Collection[tuple[Given, int]], *, strict: bool) -> bool:
    """One whole proof, or two halves over two channels; for the strict, two whole ones over two."""
    best: dict[str, int] = {}
    for given, worth in held:
        channel = CHANNELS[given.method]
        best[channel] = max(best.get(channel, 0), worth)
    alone = max((worth for given, worth in held if given.method in BY_ITSELF), default=0)
    if strict:
        return alone == 2 and list(best.values()).count(2) >= 2
    return alone >= 1 and sum(best.values()) >= 2
