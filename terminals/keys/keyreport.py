"""How issuer keys and keysets stand, and what is due: read by people and by cron."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from django.db.models import Count
from django.utils import timezone

from terminals.claims import KeysetClaims
from terminals.keys import issuer, roots
from terminals.models import Keyset, TerminalStatus

# Rotation may wait for a quiet week, not for a month.
NOTICE: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Report:
    """Lines to print, and what somebody should do; nothing is due when that is empty."""

    lines: tuple[str, ...]
    due: tuple[str, ...]


def report(folder: Path) -> Report:
    """The state of things now; `folder` is where this host keeps its key files."""
    newest = Keyset.objects.first()
    if newest is None:
        return Report(("no keyset has been published yet",), ("run `issuerkeys init`",))
    now, says, standings = timezone.now(), issuer.content(newest), issuer.standings()
    behind = _terminals()
    lines = [
        f"keyset {newest.version}, published {newest.created_at.date()}, ends {_day(says.exp)}",
        *(f"root {issuer.jose.thumbprint(root)}" for root in says.roots),
        *(_line(one, folder) for one in standings),
        *(f"terminals that report keyset {version or '–'}: {count}" for version, count in behind),
    ]
    due = [*_due(newest, says, standings, now), *_astray(newest, behind)]
    if roots.find(folder) == folder / issuer.ROOT_FILE:
        due.append("the root lies in the clear on this host: keep it offline, or at least encrypted")
    return Report(tuple(lines), tuple(due))


def _line(one: issuer.Standing, folder: Path) -> str:
    key = one.key
    kinds = "factory resets" if one.scope == issuer.RESET else "commands"
    place = "here" if key.file and (folder / key.file).is_file() else "elsewhere"
    since = f"since {key.activated_at.date()}" if key.activated_at else "not used yet"
    return (
        f"key {key.kid}  {one.state:<9} {kinds:<15} {since:<17} until {key.expires_at.date()}  "
        f"{key.file or 'its file'}: {place}"
    )


def _terminals() -> list[tuple[int | None, int]]:
    told = TerminalStatus.objects.filter(terminal__state="active").values_list("keyset_version")
    return [(version, count) for version, count in told.annotate(Count("pk")).order_by("keyset_version")]


def _due(
    newest: Keyset, says: KeysetClaims, standings: Sequence[issuer.Standing], now: datetime
) -> Iterator[str]:
    states = {(one.scope, one.state) for one in standings}
    if datetime.fromtimestamp(says.exp, now.tzinfo) < now + NOTICE:
        yield f"keyset {newest.version} ends soon: run `issuerkeys rotate`"
    for one in standings:
        if one.state == "current" and one.signs_until < now + NOTICE:
            yield f"key {one.key.kid} ends soon: run `issuerkeys rotate`"
        if one.state == "revoked" and one.key.expires_at > now and one.key.kid not in says.revoked:
            yield f"terminals still believe key {one.key.kid}: publish a keyset, `issuerkeys revoke` again"
    for scope, state, what in (
        (issuer.ORDINARY, "current", "no key signs commands"),
        (issuer.ORDINARY, "next", "no key is published ahead, so an emergency would need the root"),
        (issuer.RESET, "current", "no key signs factory resets"),
    ):
        if (scope, state) not in states:
            yield f"{what}: run `issuerkeys rotate`"


def _astray(newest: Keyset, behind: Sequence[tuple[int | None, int]]) -> Iterator[str]:
    ahead = max((version or 0 for version, _count in behind), default=0)
    if ahead > newest.version:
        yield f"terminals report keyset {ahead}, which this database has lost: `issuerkeys import` it again"


def _day(unix: int) -> str:
    return str(datetime.fromtimestamp(unix, UTC).date())
