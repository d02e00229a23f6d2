"""Find whom to call, tell whether a number is known, and have a second person confirm what one entered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from portal.alarms import raise_alarm
from portal.audit import Tag, record
from portal.secrets import keyed_digest
from terminals.directory.numbers import beginnings, canonical, plain
from terminals.models import DirectoryEntry, DirectoryKey, DirectoryNumber
from terminals.models.directory import Vouched

log = structlog.get_logger(__name__)
MOST_FOUND = 12
AHEAD = timedelta(days=14)


class Changed(Exception):
    """Somebody changed a line after this person had seen it; nothing was confirmed."""


class NothingToConfirm(Exception):
    """Every line stands already, or is this person's own."""


def lines_of(entry: DirectoryEntry) -> Iterator[Vouched]:
    """The entry itself, its numbers and its keys."""
    yield entry
    yield from entry.numbers.select_related("entered_by", "verified_by")
    yield from entry.keys.select_related("entered_by", "verified_by")


# ── what merchants see ──────────────────────────────────────────────────────────────────────────────────────


def listed() -> QuerySet[Any]:
    """Entries that a second person has confirmed, each with its confirmed numbers in `confirmed`."""
    confirmed = Prefetch(
        "numbers", queryset=DirectoryNumber.objects.filter(verified_by__isnull=False), to_attr="confirmed"
    )
    return DirectoryEntry.objects.filter(verified_by__isnull=False, retired=False).prefetch_related(confirmed)


def find(text: str) -> list[DirectoryEntry]:
    """Entries by a part of their name, or by how a serial or merchant number begins: the closest first."""
    found: dict[int, DirectoryEntry] = {}
    if starts := beginnings(text):
        keys = DirectoryKey.objects.filter(start__in=starts, verified_by__isnull=False, entry__retired=False)
        closest = dict(sorted(keys.values_list("entry_id", "start"), key=lambda pair: len(pair[1])))
        rows = listed().in_bulk(sorted(closest, key=lambda pk: -len(closest[pk]))[:MOST_FOUND])
        found |= {pk: rows[pk] for pk in sorted(rows, key=lambda pk: (-len(closest[pk]), pk))}
    name = plain(text)
    if name and len(found) < MOST_FOUND:
        named = listed().filter(Q(name_zh__icontains=name) | Q(name_en__icontains=name))
        found |= {row.pk: row for row in named[: MOST_FOUND - len(found)]}
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the directory knows of a number: whose it is, and whether that was confirmed lately.

    `ours`: it is the hotline of this site. No entry and not ours: it is unknown, which proves nothing.
    """

    entries: tuple[DirectoryEntry, ...] = ()
    ours: bool = False
    lately: bool = False

    @property
    def known(self) -> bool:
        """Whether it is in the directory at all."""
        return self.ours or bool(self.entries)


def judge(text: str) -> Verdict:
    """What is known of a number, however it was written. It is kept nowhere; the log says that one asked."""
    digits, now = canonical(text), timezone.now()
    ours = bool(digits) and digits == canonical(settings.REKEY_HOTLINE)
    numbers = DirectoryNumber.objects.filter(digits=digits, verified_by__isnull=False) if digits else []
    until = {number.entry_id: number.valid_until for number in numbers}
    entries = tuple(listed().filter(pk__in=until)[:MOST_FOUND]) if until else ()
    current = [e for e in entries if not e.is_due(now) and (until[e.pk] or now) > now]
    verdict = Verdict(tuple(current) or entries, ours, bool(ours or current))
    log.info("number_checked", known=verdict.known, lately=verdict.lately)
    return verdict


# ── what editors do ─────────────────────────────────────────────────────────────────────────────────────────


def note(row: Vouched, by: int, **facts: Any) -> None:
    """Put on record that a line was entered, changed or taken away; what it says stays out of it."""
    entry = row.pk if isinstance(row, DirectoryEntry) else getattr(row, "entry_id", None)
    record(
        Tag.DIRECTORY_CHANGED, actor=f"user:{by}", subject=f"directory:{entry}",
        line=f"{row._meta.model_name}:{row.pk}", **facts,
    )  # fmt: skip


def as_seen(entry: DirectoryEntry) -> str:
    """Stands for every line as it is now: who confirms hands it back, and a change in between is noticed."""
    lines = (f"{line._meta.model_name}:{line.pk}:{line.entered_at.isoformat()}" for line in lines_of(entry))
    return keyed_digest("directory", *lines)


def to_confirm(entry: DirectoryEntry, by: int) -> list[Vouched]:
    """The lines that this person can confirm: all but their own, also before they are due."""
    return [line for line in lines_of(entry) if line.entered_by_id != by]


def confirm(entry: DirectoryEntry, by: int, seen: str) -> int:
    """A second person looked every line up that is not their own; returns how many. For REKEY_DIRECTORY_DAYS.

    Raises Changed when it is not what they saw any more, and NothingToConfirm.
    """
    now = timezone.now()
    until = now + timedelta(days=settings.REKEY_DIRECTORY_DAYS)
    with transaction.atomic():
        if as_seen(entry) != seen:
            raise Changed
        lines = to_confirm(entry, by)
        if not lines:
            raise NothingToConfirm
        for line in lines:
            same = type(line)._default_manager.filter(pk=line.pk, entered_at=line.entered_at)
            if same.exclude(entered_by=by).update(verified_by=by, verified_at=now, valid_until=until) != 1:
                raise Changed
        DirectoryEntry.objects.filter(pk=entry.pk).update(reminded_at=None)
        record(
            Tag.DIRECTORY_CONFIRMED, actor=f"user:{by}", subject=f"directory:{entry.pk}",
            lines=[f"{line._meta.model_name}:{line.pk}" for line in lines],
        )  # fmt: skip
    return len(lines)


def due_by(moment: datetime) -> QuerySet[DirectoryEntry]:
    """Entries in use of which a confirmed line is over by then."""
    over = {"entry": OuterRef("pk"), "valid_until__lte": moment}
    late = Q(valid_until__lte=moment)
    late |= Exists(DirectoryNumber.objects.filter(**over)) | Exists(DirectoryKey.objects.filter(**over))
    return DirectoryEntry.objects.filter(late, retired=False)


def remind(now: datetime) -> int:
    """Have a case opened, once, for entries that are over in two weeks; returns how many."""
    due = due_by(now + AHEAD).filter(reminded_at__isnull=True).values_list("pk", flat=True)
    told = DirectoryEntry.objects.filter(pk__in=list(due), reminded_at__isnull=True).update(reminded_at=now)
    if told:
        raise_alarm(Tag.DIRECTORY_DUE, entries=told)
    return told
