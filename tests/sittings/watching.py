"""Looks at the rows after every request and holds what has changed against what was done."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from portal.models import AddressChange, Merchant, phone_digest
from tests.sittings.book import (
    BEFORE,
    BY_BROWSER,
    BY_OTHERS,
    CHOOSING,
    DAY,
    FROZEN_FOR,
    HOLD,
    OPEN,
    Book,
    Given,
    Sitting,
)
from tests.sittings.world import OTHER_PHONE, Letter, post

Row = dict[str, Any]
ATTEMPTS, SENDS = 5, 3
PER_PHONE, PER_SHOP, PER_SOURCE = 5, 10, 5
RECOVERY: Final = (
    "id state challenge_id terminal_id operator_number command_id request_id merchant_id offline reason"
    " browser_digest expires_at proved_at"
).split()
CHALLENGE: Final = "id purpose subject attempts sends used_at expires_at".split()
CHANGE: Final = "id what state old new address_id challenge_id number ends_at".split()
COMMAND: Final = "id kind state terminal_id operator_number requested_by".split()
ANSWER: Final = "id terminal_id operator_number recovery_ref".split()
PROVEN: Final = ("proved", "setting")
EVER_OPEN: Final = ("queued", "fetched")


@dataclass
class Deed:
    """What somebody does with one request, and what follows from it at most."""

    by: str = "others"
    recovery: str = ""
    about: tuple[str, str] = ("", "")
    proof: Given | None = None
    code_of: str = ""
    passkey: bool = False
    stops: str = ""
    not_me: bool = False
    # What begins with a proof, and not with a code.
    begins: Sitting | None = None


@dataclass
class Rows:
    """What stands in the tables at one moment."""

    recoveries: dict[str, Row] = field(default_factory=dict)
    challenges: dict[str, Row] = field(default_factory=dict)
    changes: dict[int, Row] = field(default_factory=dict)
    commands: dict[str, Row] = field(default_factory=dict)
    proofs: set[tuple[str, str, str]] = field(default_factory=set)
    answers: dict[int, Row] = field(default_factory=dict)

    @staticmethod
    def now() -> Rows:
        """As they are."""
        return Rows(
            _rows("recovery_recovery", RECOVERY),
            _rows("portal_challenge", CHALLENGE),
            {row["id"]: row for row in AddressChange.objects.order_by().values(*CHANGE)},
            _rows("terminals_command", COMMAND),
            set(_select("SELECT recovery_id, method, subject FROM recovery_proof")),
            _rows("terminals_offlineunlock", ANSWER),
        )


def _select(query: str) -> list[tuple[Any, ...]]:
    """Without the mapper, which would take half the time of a run."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _rows(table: str, names: list[str]) -> dict[Any, Row]:
    rows = (dict(zip(names, row, strict=True)) for row in _select(f"SELECT {', '.join(names)} FROM {table}"))
    return {row["id"]: row for row in rows}


def moment(when: datetime | None) -> float:
    """When that was, as SQLite keeps it."""
    return when.replace(tzinfo=UTC).timestamp() if when else 0.0


class Watch:
    """Remembers the rows of a moment ago."""

    def __init__(self, book: Book, shop: Merchant, tills: Iterable[str]) -> None:
        self.book, self.shop, self.tills = book, shop, set(tills)
        self.rows, self.written = Rows.now(), 0
        self.seen_letters = 0
        self.counted: Counter[str] = Counter()

    def look(self, deed: Deed) -> None:
        """Every change since the last look has to follow from the deed. Raises AssertionError."""
        written = connection.connection.total_changes
        if written == self.written:
            return
        self.written = written
        before, now = self.rows, Rows.now()
        self.rows = now
        for key, row in now.changes.items():
            self._change(before.changes.get(key), row, deed)
        for pk, row in now.challenges.items():
            self._challenge(before.challenges.get(pk), row, deed)
        if deed.begins is not None:
            for pk in now.recoveries.keys() - before.recoveries.keys():
                self.book.sittings[pk], deed.recovery = deed.begins, pk
        self._proofs(now.proofs - before.proofs, now, deed)
        for pk, row in now.recoveries.items():
            self._recovery(before.recoveries.get(pk), row, deed)
        for pk in now.commands.keys() - before.commands.keys():
            self._command(now.commands[pk], before, now, deed)
        for key in now.answers.keys() - before.answers.keys():
            self._answer(now.answers[key], before, deed)
        self._frozen(now, deed)
        self._shop()
        self._letters()

    # --- rows -----------------------------------------------------------------------------------------------

    def _recovery(self, before: Row | None, now: Row, deed: Deed) -> None:
        assert now["expires_at"] is not None
        if before is None:
            by_proof = deed.begins is not None and self.book.sittings[now["id"]].given == {deed.proof}
            assert now["state"] == ("proved" if by_proof else "started"), "a recovery began in the middle"
            self.counted["begun with a passkey"] += by_proof
            return
        origin, state = before["state"], now["state"]
        for name in ("challenge_id", "offline"):
            assert before[name] == now[name], f"{name} of a recovery was changed"
        mine = deed.by == "browser" and deed.recovery == now["id"]
        if before["merchant_id"] not in (None, now["merchant_id"]):
            raise AssertionError("a recovery is another shop's now")
        if before["browser_digest"] != now["browser_digest"]:
            assert mine and state in PROVEN, "another browser has it without a proof"
        if not mine:
            same = ("terminal_id", "operator_number")
            assert [before[name] for name in same] == [now[name] for name in same], "somebody else chose"
        if origin != state:
            self._moved(before, now, deed, mine=mine)

    def _moved(self, before: Row, now: Row, deed: Deed, *, mine: bool) -> None:
        origin, state = before["state"], now["state"]
        self.counted[f"{origin} → {state}"] += 1
        allowed = BY_BROWSER if mine else BY_OTHERS
        late = BY_OTHERS if deed.not_me else {}
        assert state in allowed.get(origin, set()) | late.get(origin, set()), f"{origin} → {state}: {deed}"
        if state in CHOOSING:
            assert now["proved_at"] is not None and now["merchant_id"] is not None, "chosen without a proof"
        if state in ("setting", "dispatched"):
            assert now["terminal_id"] and now["operator_number"], "a step was left out"
        if origin in BEFORE and state in PROVEN:
            assert deed.code_of == now["challenge_id"], "proved without its code"
            assert state == "proved" or before["operator_number"], "nobody had said for whom"
        if origin in OPEN and state in ("abandoned", "escalated") and not mine:
            assert moment(before["expires_at"]) <= time.time(), "it was ended before its time"

    def _challenge(self, before: Row | None, now: Row, deed: Deed) -> None:
        assert now["attempts"] <= ATTEMPTS and now["sends"] <= SENDS, "more tries or sends than there are"
        if before is None:
            return
        for name in ("expires_at", "purpose", "subject"):
            assert before[name] == now[name], f"{name} of a challenge was changed"
        assert before["attempts"] <= now["attempts"] <= before["attempts"] + 1, "tries were given back"
        assert before["sends"] <= now["sends"], "sends were given back"
        if before["used_at"] == now["used_at"]:
            return
        assert before["used_at"] is None, "a code was used twice"
        self.counted["codes accepted"] += 1
        assert deed.passkey or deed.code_of == now["id"], f"another's code was taken: {deed}"
        assert before["attempts"] < ATTEMPTS or deed.passkey, "a code was taken after the last try"
        assert now["expires_at"] > now["used_at"], "a code was taken after its time"

    def _proofs(self, new: set[tuple[str, str, str]], rows: Rows, deed: Deed) -> None:
        assert len(new) <= 1, "one deed gave two proofs"
        for recovery, method, subject in new:
            given = deed.proof
            assert given is not None and deed.recovery == recovery, f"a proof nobody gave: {method} {deed}"
            assert given.method == method, f"{method} for {given.method}"
            assert method not in ("email", "contact", "possession") or subject == given.by
            self.counted[f"proof: {method}"] += 1
            self.book.sittings[recovery].given.add(given)
            if method == "recovery_code":
                assert given.by in self.book.shop.paper, "a code on paper counted twice"
                self.book.shop.paper.discard(given.by)
            if method not in ("sms", "voice"):
                self.book.shop.distrusted = False

    def _change(self, before: Row | None, now: Row, deed: Deed) -> None:
        if before is None or before["state"] == now["state"]:
            return
        origin, state = before["state"], now["state"]
        ways = {"proving": {"standing", "done", "cancelled", "expired"}, "standing": {"stopped", "done"}}
        assert state in ways.get(origin, set()), f"a change went from {origin} to {state}"
        self.counted[f"change {now['what']}: {state}"] += 1
        confirmed = origin == "proving" and state == "done"
        if state == "standing" or confirmed:
            assert deed.code_of == now["challenge_id"], "a change came into force without its code"
        if state == "standing":
            alive = [row for row in self.rows.recoveries.values() if self._underway(row)]
            assert not alive, "the phone was changed under a recovery"
            self._in_force(now)
        if confirmed and now["address_id"] is None:
            self.book.shop.confirmed_at = time.time()
        if state == "stopped" and now["number"] == deed.stops:
            self._undone(now)

    def _underway(self, row: Row) -> bool:
        alive = moment(row["expires_at"]) > time.time()
        return alive and row["state"] in CHOOSING and row["merchant_id"] == self.shop.pk

    def _in_force(self, change: Row) -> None:
        shop, held = self.book.shop, time.time() + HOLD
        if change["what"] == "registered":
            shop.phone, shop.held_until, shop.confirmed_at = change["new"], held, time.time()
        else:
            shop.addresses[change["address_id"]] = held

    def _undone(self, change: Row) -> None:
        shop = self.book.shop
        if change["what"] == "registered":
            shop.phone, shop.held_until = change["old"], 0.0
        elif change["what"] == "new":
            shop.gone.add(change["address_id"])
        else:
            shop.addresses[change["address_id"]] = 0.0

    # --- what opens -----------------------------------------------------------------------------------------

    def _command(self, row: Row, before: Rows, now: Rows, deed: Deed) -> None:
        if row["kind"] != "set_credential":
            assert deed.not_me or row["kind"] == "void", f"a {row['kind']} from nowhere"
            return
        owners = [each for each in now.recoveries.values() if each["command_id"] == row["id"]]
        assert len(owners) == 1 and deed.recovery == owners[0]["id"], "a command of no recovery"
        assert owners[0]["state"] == "dispatched"
        self.counted[f"commands for {row['operator_number']}"] += 1
        self._may(before.recoveries[owners[0]["id"]], row, deed)

    def _answer(self, row: Row, before: Rows, deed: Deed) -> None:
        assert deed.recovery == row["recovery_ref"], "an answer to nobody"
        self.counted[f"answers for {row['operator_number']}"] += 1
        self._may(before.recoveries[deed.recovery], row, deed)

    def _may(self, recovery: Row, opened: Row, deed: Deed) -> None:
        """What was opened is what the recovery's own record says, and the book lets it."""
        till, number = opened["terminal_id"], opened["operator_number"]
        assert (till, number) == (recovery["terminal_id"], recovery["operator_number"]), "another's command"
        assert (till, number) == deed.about, f"{deed.about} was asked and {number} is reset"
        assert recovery["state"] in ("setting", "dispatched"), f"opened from {recovery['state']}"
        assert recovery["merchant_id"] == self.shop.pk and till in self.tills, "another shop's terminal"
        at_screen = recovery["request_id"] is not None
        why = self.book.may(recovery["id"], number=number, till=till, at_screen=at_screen, now=time.time())
        assert not why, f"{number} was reset though {why}"

    def _frozen(self, rows: Rows, deed: Deed) -> None:
        shop = self.book.shop
        ((until, digest),) = _select(
            f"SELECT frozen_until, phone_digest FROM portal_merchant WHERE id = {self.shop.pk}"
        )
        stamp = moment(until)
        assert digest == phone_digest(shop.phone), "the registered phone is another one"
        if deed.not_me and stamp != shop.frozen_until and time.time() >= shop.frozen_until:
            self.counted["frozen"] += 1
            assert abs(stamp - time.time() - FROZEN_FOR) < 1
            shop.frozen_until = stamp
        assert stamp == shop.frozen_until, "frozen or thawed by nobody"
        if time.time() < shop.frozen_until:
            mine = [row for row in rows.commands.values() if row["terminal_id"] in self.tills]
            live = [row for row in mine if row["kind"] == "set_credential" and row["state"] in EVER_OPEN]
            assert not live, "a password can be fetched though the shop is frozen"
            proving = [row for row in rows.changes.values() if row["state"] == "proving"]
            pending = [row for row in proving if row["ends_at"].timestamp() > time.time()]
            assert not pending, "a change can be proved though the shop is frozen"

    def _shop(self) -> None:
        ((left,),) = _select(
            "SELECT count(*) FROM portal_recoverycode WHERE used_at IS NULL AND revoked_at IS NULL"
        )
        assert left == len(self.book.shop.paper), "codes on paper do not add up"

    # --- letters --------------------------------------------------------------------------------------------

    def _letters(self) -> None:
        if len(post.letters) == self.seen_letters:
            return
        self.seen_letters = len(post.letters)
        challenge: Counter[str] = Counter()
        spent: dict[str, Counter[Any]] = defaultdict(Counter)
        for letter in post.letters:
            assert letter.mailed == ("@" in letter.to), "a call to a mailbox, or a mail to a phone"
            challenge[letter.challenge] += letter.challenge != ""
            if letter.template == "code" and not letter.to.count("@"):
                spent["known" if letter.known else "strange"][letter.to, letter.at // DAY] += 1
        assert all(count <= SENDS for count in challenge.values()), "a code was sent too often"
        assert all(count <= PER_PHONE for count in spent["strange"].values()), "a phone got too many"
        by_day: Counter[float] = Counter()
        for (to, day), count in spent["strange"].items():
            by_day[day] += count * (to != OTHER_PHONE)
        assert all(count <= PER_SHOP for count in by_day.values()), "a shop got too many"


def right(typed: str, letters: Iterable[Letter]) -> bool:
    """Whether it is what the letters said."""
    return any(letter.code == typed for letter in letters)
