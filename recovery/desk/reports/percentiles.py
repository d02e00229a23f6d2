"""Half of all take so long, nine of ten so long: nearest-rank percentiles in one query, on any database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.expressions import Combinable
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy as _

from recovery.desk.reports.shape import Measure, Unit

HALF, MOST = 50, 90
ALL = "all"
SPREAD = (
    Measure("half", _("half of them within"), Unit.SECONDS),
    Measure("most", _("nine of ten within"), Unit.SECONDS),
)


@dataclass(slots=True)
class Spread:
    """How many there are, and the spans in seconds that half and nine of ten of them do not exceed."""

    count: int = 0
    half: float | None = None
    most: float | None = None


def spreads(rows: QuerySet[Any], took: Combinable, by: str) -> Mapping[str, Spread]:
    """The spread of `took` over the rows that have it, for each value of `by` and for `ALL` of them."""
    asked = rows.annotate(took=took).filter(took__isnull=False)
    asked = asked.annotate(
        place=Window(RowNumber(), partition_by=[F(by)], order_by=[F("took"), F("pk")]),
        size=Window(Count("pk"), partition_by=[F(by)]),
        place_all=Window(RowNumber(), order_by=[F("took"), F("pk")]),
        size_all=Window(Count("pk")),
    )
    wanted = Q()
    for name, place, size in (("own", "place", "size"), ("every", "place_all", "size_all")):
        for percent in (HALF, MOST):
            beyond = f"{name}_{percent}"
            asked = asked.annotate(**{beyond: F(place) * 100 - F(size) * percent})
            wanted |= Q(**{f"{beyond}__gte": 0, f"{beyond}__lt": 100})
    found: dict[str, Spread] = {}
    columns = (by, "took", "place", "size", "place_all", "size_all")
    for line, span, place, size, place_all, size_all in asked.filter(wanted).values_list(*columns):
        _note(found.setdefault(str(line), Spread()), span, place, size)
        _note(found.setdefault(ALL, Spread()), span, place_all, size_all)
    return found


def _note(spread: Spread, span: timedelta, place: int, size: int) -> None:
    """Keep a span whose place is the first that so many per cent of all do not exceed."""
    spread.count = size
    if 0 <= place * 100 - size * HALF < 100:
        spread.half = span.total_seconds()
    if 0 <= place * 100 - size * MOST < 100:
        spread.most = span.total_seconds()


def spread_of(spread: Spread, counted: str) -> dict[str, float | None]:
    """The numbers of a line whose rows are counted under this name."""
    return {counted: spread.count, "half": spread.half, "most": spread.most}
